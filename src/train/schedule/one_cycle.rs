//! The one-cycle schedule: the learning rate climbs to its peak, and falls to the first value or below.
//!
//! The schedule is PyTorch's `OneCycleLR`. The f64 operations are those of PyTorch, so the learning rates are the same
//! numbers. Unlike PyTorch's default, the schedule does not change the momentum.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

use super::{Schedule, check_rate, positive, refuse};
use crate::base::choice::Choice;
use crate::train::ConfigError;

/// The default share of the steps in which the learning rate climbs: 5 of 24 epochs.
pub const PCT_START: f64 = 5.0 / 24.0;

/// The shape of the curve of the learning rate between two values.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Anneal {
    /// A straight line.
    #[default]
    Linear,
    /// Half a period of the cosine.
    Cos,
}

impl Choice for Anneal {
    const ALL: &'static [(Self, &'static str, &'static str)] = &[
        (Self::Linear, "linear", "A straight line"),
        (Self::Cos, "cos", "Half a period of the cosine"),
    ];
}

impl Anneal {
    /// Returns the learning rate between `start` (`progress` 0) and `end` (`progress` 1).
    fn between(self, start: f64, end: f64, progress: f64) -> f64 {
        match self {
            Anneal::Linear => (end - start) * progress + start,
            Anneal::Cos => end + (start - end) / 2.0 * ((PI * progress).cos() + 1.0),
        }
    }
}

/// A schedule: the learning rate climbs from `max_lr / div_factor` to `max_lr`, and falls to
/// `max_lr / div_factor / final_div_factor`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct OneCycle {
    /// The peak of the learning rate.
    pub max_lr: f64,
    /// The number of steps in the run.
    pub total_steps: usize,
    /// The share of the steps in which the learning rate climbs, in 0..=1.
    pub pct_start: f64,
    /// The peak divided by the first learning rate.
    pub div_factor: f64,
    /// The first learning rate divided by the last one.
    pub final_div_factor: f64,
    /// The shape of the climb and the fall.
    pub anneal: Anneal,
    /// True for three phases: the fall to the first learning rate takes as long as the climb, and the fall from there
    /// to the last one takes the rest of the steps.
    pub three_phase: bool,
}

impl OneCycle {
    /// Returns the schedule of the default recipe: straight lines from a tenth of the peak to the peak and back.
    pub fn linear(max_lr: f64, total_steps: usize) -> Self {
        Self {
            max_lr,
            total_steps,
            pct_start: PCT_START,
            div_factor: 10.0,
            final_div_factor: 1.0,
            anneal: Anneal::Linear,
            three_phase: false,
        }
    }

    /// Returns the phases, each as (last step, first learning rate, last learning rate). A last step may be a fraction,
    /// or negative.
    fn phases(&self) -> Vec<(f64, f64, f64)> {
        let total = self.total_steps as f64;
        let (first, last) = (self.max_lr / self.div_factor, self.max_lr);
        let lowest = first / self.final_div_factor;
        let climb = (self.pct_start * total - 1.0, first, last);
        if self.three_phase {
            let back = (2.0 * self.pct_start * total - 2.0, last, first);
            vec![climb, back, (total - 1.0, first, lowest)]
        } else {
            vec![climb, (total - 1.0, last, lowest)]
        }
    }
}

impl Schedule for OneCycle {
    fn check(&self) -> Result<(), ConfigError> {
        check_rate("max-lr", self.max_lr)?;
        positive("div-factor", self.div_factor)?;
        positive("final-div-factor", self.final_div_factor)?;
        // Devices compute in f32, so a learning rate above the largest f32 is refused.
        let fits = |setting, value, rate: f64, which: &str| match rate <= f32::MAX.into() {
            true => Ok(()),
            false => refuse(setting, value, format!("give a {which} of at most {:e}", f32::MAX)),
        };
        let first = self.max_lr / self.div_factor;
        fits("div-factor", self.div_factor, first, "first learning rate")?;
        fits(
            "final-div-factor",
            self.final_div_factor,
            first / self.final_div_factor,
            "last learning rate",
        )?;
        if !(0.0..=1.0).contains(&self.pct_start) {
            return refuse("pct-start", self.pct_start, "be from 0 to 1");
        }
        if self.total_steps == 0 {
            return refuse("total-steps", 0.0, "be at least 1");
        }
        Ok(())
    }

    fn rate(&self, step: usize) -> f64 {
        let step = step.min(self.total_steps.saturating_sub(1)) as f64;
        let phases = self.phases();
        let mut start_step = 0.0;
        for (ix, &(end_step, start, end)) in phases.iter().enumerate() {
            if step <= end_step || ix + 1 == phases.len() {
                // A phase of length 0 has only its last learning rate. PyTorch divides by zero here.
                let length = end_step - start_step;
                let progress = if length == 0.0 { 1.0 } else { (step - start_step) / length };
                return self.anneal.between(start, end, progress);
            }
            start_step = end_step;
        }
        unreachable!("the last phase has all steps that are left");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_learning_rate_climbs_to_the_peak_and_comes_back() {
        let schedule = OneCycle::linear(0.02, 24 * 10);
        assert_eq!(schedule.rate(0), 0.002);
        // The peak is at the last step of epoch 5.
        assert!((schedule.rate(49) - 0.02).abs() < 1e-15);
        assert!(schedule.rate(48) < schedule.rate(49) && schedule.rate(50) < schedule.rate(49));
        assert!((schedule.rate(239) - 0.002).abs() < 1e-15);
        assert_eq!(schedule.rate(240), schedule.rate(239));
    }

    #[test]
    fn short_schedules_give_finite_learning_rates() {
        for total_steps in 1..6 {
            for pct_start in [0.0, 0.2, 0.5, 1.0] {
                for three_phase in [false, true] {
                    let schedule =
                        OneCycle { pct_start, three_phase, ..OneCycle::linear(1.0, total_steps) };
                    for step in 0..total_steps {
                        let rate = schedule.rate(step);
                        assert!(rate.is_finite(), "{schedule:?} at {step}: {rate}");
                    }
                }
            }
        }
    }

    #[test]
    fn numbers_out_of_their_range_are_errors() {
        let good = OneCycle::linear(0.01, 10);
        assert!(good.check().is_ok());
        assert!(
            OneCycle { final_div_factor: 1e60, ..good }.check().is_ok(),
            "the last learning rate may be 0 in f32"
        );
        for bad in [
            OneCycle { max_lr: 0.0, ..good },
            OneCycle { max_lr: 1e-60, ..good },
            OneCycle { max_lr: 1e39, ..good },
            OneCycle { div_factor: 1e-60, ..good },
            OneCycle { final_div_factor: 1e-60, ..good },
            OneCycle { div_factor: f64::NAN, ..good },
            OneCycle { pct_start: 1.5, ..good },
            OneCycle { total_steps: 0, ..good },
        ] {
            assert!(bad.check().is_err(), "{bad:?}");
        }
    }
}
