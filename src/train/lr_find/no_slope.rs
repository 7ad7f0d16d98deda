//! The reasons why a sweep has no suggestion.

use std::fmt;

/// The smallest number of steps in a sweep, and of points in the window of a slope.
pub const MIN_STEPS: usize = 10;

/// The reason why a curve has no suggestion.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum NoSlope {
    /// The sweep ended after this number of steps, which are too few.
    TooShort(usize),
    /// The loss rises by more than noise, and does not fall below its start.
    Rises,
    /// The loss neither falls nor rises by more than noise.
    Level {
        /// The largest fall in a window.
        fall: f64,
        /// The fall that would count in this window.
        needed: f64,
    },
}

impl fmt::Display for NoSlope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort(n) => {
                write!(f, "the sweep ended after {n} steps, but {MIN_STEPS} are needed")
            }
            Self::Rises => f.write_str("the loss rises, and does not fall below its start"),
            Self::Level { fall, needed } => write!(
                f,
                "the loss has no slope (its largest fall is {fall:.2e}, but only a fall above {needed:.2e} counts)"
            ),
        }
    }
}
