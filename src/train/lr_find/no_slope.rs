//! The reasons why a sweep suggests no rate.

use std::fmt;

/// The fewest steps that slopes can be told from.
pub const MIN_STEPS: usize = 10;

/// The reason why a curve suggests no rate.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum NoSlope {
    /// The sweep ended after this number of steps, too few.
    TooShort(usize),
    /// The loss rises, and falls nowhere.
    Rises,
    /// The loss neither falls nor rises by more than noise.
    Level {
        /// The largest fall in a window.
        fall: f64,
        /// The fall that would have counted there.
        needed: f64,
    },
}

impl fmt::Display for NoSlope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort(n) => {
                write!(f, "the sweep ended after {n} steps, and {MIN_STEPS} are needed")
            }
            Self::Rises => f.write_str("the loss rises and falls nowhere"),
            Self::Level { fall, needed } => write!(
                f,
                "the loss has no slope, its largest fall is {fall:.2e} where {needed:.2e} would be above noise"
            ),
        }
    }
}
