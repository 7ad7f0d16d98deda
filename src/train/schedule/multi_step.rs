//! The step schedule: the learning rate is multiplied by a factor at each milestone.
//!
//! The schedule is PyTorch's `MultiStepLR`, stepped once a batch: it multiplies the learning rate of the step before, so
//! the learning rates are the same numbers in f64.

use super::{Schedule, check_rate, positive};
use crate::train::ConfigError;

/// A schedule: `max_lr`, multiplied by `gamma` at each milestone.
#[derive(Clone, PartialEq, Debug)]
pub struct MultiStep {
    /// The first learning rate.
    pub max_lr: f64,
    /// The steps, counted from 0, that are the first with a smaller learning rate, in ascending order. A step that is
    /// listed twice multiplies twice.
    pub milestones: Vec<usize>,
    /// The factor at a milestone.
    pub gamma: f64,
}

impl Schedule for MultiStep {
    fn rate(&self, step: usize) -> f64 {
        let n_passed = self.milestones.iter().filter(|&&milestone| milestone <= step).count();
        (0..n_passed).fold(self.max_lr, |rate, _| rate * self.gamma)
    }

    fn check(&self) -> Result<(), ConfigError> {
        check_rate("max-lr", self.max_lr)?;
        positive("gamma", self.gamma)?;
        // A large factor may overflow at the last milestone.
        check_rate("gamma", self.rate(usize::MAX).max(f64::from(f32::MIN_POSITIVE)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_milestone_is_the_first_step_with_the_smaller_learning_rate() {
        let schedule = MultiStep { max_lr: 0.1, milestones: vec![3, 5, 5], gamma: 0.5 };
        let rates: Vec<_> = (0..7).map(|step| schedule.rate(step)).collect();
        assert_eq!(rates, [0.1, 0.1, 0.1, 0.05, 0.05, 0.0125, 0.0125]);
        assert!(schedule.check().is_ok());
        assert!(MultiStep { gamma: 0.0, ..schedule.clone() }.check().is_err());
        assert!(MultiStep { gamma: 1e30, ..schedule }.check().is_err());
    }
}
