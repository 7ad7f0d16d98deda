//! The reasons why a sweep over learning rates gives no suggestion.

use std::fmt;

/// The smallest number of steps in a sweep, and of points in the window of a slope.
pub const MIN_STEPS: usize = 10;

/// The reason why the loss curve of a sweep gives no suggestion.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum NoSlope {
    /// The sweep ended after this number of steps, but at least 10 are needed.
    TooShort(usize),
    /// The loss rises by more than noise, and does not fall below its value before the sweep.
    Rises,
    /// The loss neither falls nor rises by more than noise.
    Level {
        /// The largest fall of the loss in a window.
        fall: f64,
        /// The fall that the loss must exceed in this window to count as a slope.
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
