//! The learning-rate range test: the learning rate grows from step to step. A good peak for a schedule lies where the
//! loss falls fastest.
//!
//! The test is from Smith, "Cyclical Learning Rates for Training Neural Networks", 2017, section 3.3. The smoothing,
//! the stopping rule and the rule `valley` are fastai's. This module has the learning rates and losses of a sweep.
//! [`train::lr_find`](crate::train::lr_find) runs the steps, and [`Curve::read`] returns the learning rates that the
//! curve suggests.

mod rules;

pub use rules::{PEAK_OVER_LEAST, Reading, Rule, Suggestions};

use super::no_slope::MIN_STEPS;
use crate::base::choice::Choice;
use crate::train::ConfigError;

/// The spacing of the learning rates in a sweep.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Scale {
    /// Each learning rate is the previous one times a constant, so each decade has the same number of steps.
    #[default]
    Log,
    /// Each learning rate is the previous one plus a constant.
    Linear,
}

impl Choice for Scale {
    const ALL: &'static [(Self, &'static str, &'static str)] = &[
        (
            Self::Log,
            "log",
            "Each learning rate is the previous one times a constant: every power of ten has as many steps",
        ),
        (Self::Linear, "linear", "Each learning rate is the previous one plus a constant"),
    ];
}

/// The learning rates of a sweep.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Range {
    /// The first learning rate.
    pub start: f64,
    /// The last learning rate.
    pub end: f64,
    /// The number of learning rates.
    pub n_steps: usize,
    /// The spacing of the learning rates.
    pub scale: Scale,
}

impl Default for Range {
    fn default() -> Self {
        Self { start: 1e-7, end: 10.0, n_steps: 100, scale: Scale::Log }
    }
}

impl Range {
    /// Returns the learning rate of step `ix`, from 0.
    pub fn rate(&self, ix: usize) -> f64 {
        let progress = ix as f64 / (self.n_steps - 1).max(1) as f64;
        match self.scale {
            Scale::Log => self.start * (self.end / self.start).powf(progress),
            Scale::Linear => self.start + (self.end - self.start) * progress,
        }
    }

    /// Checks the learning rates and the number of steps.
    ///
    /// # Errors
    /// [`ConfigError::Range`] if the first learning rate is not above 0, or not below the last one.
    /// [`ConfigError::Value`] if there are fewer than 10 steps.
    pub fn check(&self) -> Result<(), ConfigError> {
        let Self { start, end, n_steps, .. } = *self;
        if !(start > 0.0 && start < end && end.is_finite()) {
            return Err(ConfigError::Range { start, end });
        }
        if n_steps < MIN_STEPS {
            let (value, must) = (n_steps.to_string(), format!("be at least {MIN_STEPS}"));
            return Err(ConfigError::Value { setting: "steps", value, must });
        }
        Ok(())
    }
}

/// The decay of the exponential moving average that smooths the loss.
const SMOOTHING: f64 = 0.98;

/// A sweep ends when the smoothed loss is more than this number times its smallest value.
const DIVERGED: f64 = 4.0;

/// A step of a sweep.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Point {
    /// The learning rate of the step.
    pub rate: f64,
    /// The mean loss of the batch before the update. The noise of the batch is removed: see [`Still::cleared`].
    pub loss: f64,
    /// The exponential moving average of the losses so far, with the bias correction of Adam.
    pub smoothed: f64,
}

/// The losses of a sweep's batches on the network before the sweep, in the order of the steps.
///
/// Some batches are easier than others. With batches of 16 their losses differ by a few tenths, and this noise hides
/// the slope. A batch has two losses, before the sweep and in the sweep. The noise is the same in both, so their
/// difference has no noise (common random numbers: Glasserman, "Monte Carlo Methods in Financial Engineering", 2003,
/// section 7.1). At learning rates that are too low to change the network, this difference is 0.
#[derive(Clone, PartialEq, Debug)]
pub struct Still {
    losses: Vec<f64>,
    mean: f64,
}

impl Still {
    /// Returns a record of these losses, one for each step of the sweep.
    pub fn new(losses: Vec<f64>) -> Self {
        let mean = losses.iter().sum::<f64>() / losses.len() as f64;
        Self { losses, mean }
    }

    /// Returns the mean of the losses. The curve of the sweep starts at this mean.
    pub fn mean(&self) -> f64 {
        self.mean
    }

    /// Returns the loss of step `ix` without the noise of its batch: the mean loss before the sweep, plus the change of
    /// this batch's loss since then.
    pub fn cleared(&self, ix: usize, loss: f64) -> f64 {
        self.mean + (loss - self.losses[ix])
    }
}

/// The steps of a sweep so far.
#[derive(Clone, PartialEq, Debug)]
pub struct Curve {
    start: f64,
    points: Vec<Point>,
    /// The exponential moving average of the losses, without bias correction.
    mean: f64,
}

impl Curve {
    /// Returns a curve without steps. `start` is the mean loss before the sweep.
    pub fn new(start: f64) -> Self {
        Self { start, points: Vec::new(), mean: 0.0 }
    }

    /// Appends a step. Returns false if the sweep should end: the loss is not finite, or the smoothed loss is more than
    /// four times its smallest value. A loss that is not finite is not appended.
    pub fn push(&mut self, rate: f64, loss: f64) -> bool {
        if !loss.is_finite() {
            return false;
        }
        self.mean = SMOOTHING * self.mean + (1.0 - SMOOTHING) * loss;
        let weight = 1.0 - SMOOTHING.powi(self.points.len() as i32 + 1);
        let smoothed = self.mean / weight;
        self.points.push(Point { rate, loss, smoothed });
        let best = self.points.iter().map(|p| p.smoothed).fold(f64::INFINITY, f64::min);
        smoothed <= DIVERGED * best
    }

    /// Returns the points of the curve, one for each step.
    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// Returns the mean loss before the sweep.
    pub fn start(&self) -> f64 {
        self.start
    }
}

#[cfg(test)]
mod tests;
