//! The cosine schedule with a warm-up: the learning rate rises in a straight line, and falls along half a period of the
//! cosine.
//!
//! The schedule is PyTorch's `SequentialLR` of `LinearLR` with its default `start_factor`, and `CosineAnnealingLR`, all
//! stepped once a batch. PyTorch multiplies from step to step; this schedule evaluates the closed forms, so the learning
//! rates agree up to rounding.

use std::f64::consts::PI;

use super::{Schedule, check_rate, refuse};
use crate::train::ConfigError;

/// The first learning rate of the warm-up divided by the last one: the default `start_factor` of `LinearLR`.
const START_FACTOR: f64 = 1.0 / 3.0;

/// A schedule: a rise from a third of `max_lr` to `max_lr`, and a fall to `min_lr`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Cosine {
    /// The learning rate after the warm-up.
    pub max_lr: f64,
    /// The learning rate that the cosine reaches after the last step.
    pub min_lr: f64,
    /// The number of steps of the warm-up.
    pub warmup_steps: usize,
    /// The number of steps in the run, warm-up included.
    pub total_steps: usize,
}

impl Schedule for Cosine {
    fn rate(&self, step: usize) -> f64 {
        let step = step.min(self.total_steps.saturating_sub(1));
        if step < self.warmup_steps {
            let progress = step as f64 / self.warmup_steps as f64;
            return self.max_lr * (START_FACTOR + (1.0 - START_FACTOR) * progress);
        }
        let period = self.total_steps.saturating_sub(self.warmup_steps).max(1);
        let progress = (step - self.warmup_steps) as f64 / period as f64;
        self.min_lr + (self.max_lr - self.min_lr) * (1.0 + (PI * progress).cos()) / 2.0
    }

    fn check(&self) -> Result<(), ConfigError> {
        check_rate("max-lr", self.max_lr)?;
        if !(0.0..=self.max_lr).contains(&self.min_lr) {
            return refuse("min-lr", self.min_lr, "be from 0 to max-lr");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_learning_rate_rises_in_a_line_and_falls_along_the_cosine() {
        let schedule = Cosine { max_lr: 0.3, min_lr: 0.1, warmup_steps: 2, total_steps: 6 };
        let rates: Vec<_> = (0..6).map(|step| schedule.rate(step)).collect();
        let half = 0.1 + 0.2 * 0.5;
        for (step, expected) in [(0, 0.1), (1, 0.2), (2, 0.3), (4, half)] {
            assert!((rates[step] - expected).abs() < 1e-15, "{step}: {rates:?}");
        }
        assert_eq!(schedule.rate(99), rates[5]);
        assert!(rates[5] > 0.1 && schedule.check().is_ok());
        assert!(Cosine { min_lr: 0.4, ..schedule }.check().is_err());
        assert!(Cosine { min_lr: -0.1, ..schedule }.check().is_err());
    }

    #[test]
    fn runs_of_a_few_steps_have_finite_learning_rates() {
        for total_steps in 0..4 {
            for warmup_steps in 0..5 {
                let schedule = Cosine { max_lr: 1.0, min_lr: 0.0, warmup_steps, total_steps };
                let is_finite = (0..5).all(|step| schedule.rate(step).is_finite());
                assert!(is_finite, "{schedule:?}");
            }
        }
    }
}
