//! The learning-rate range test: the rate grows from step to step, and where the loss falls fastest is a
//! good peak for a schedule.
//!
//! The test is Smith's ("Cyclical Learning Rates for Training Neural Networks", 2017, section 3.3), its
//! smoothing and stopping rule are fastai's, and so is the rule of the valley. This module has the numbers;
//! [`train::lr_find`](crate::train::lr_find) runs the steps, and
//! [`Curve::read`] reads a rate off them.

mod rules;

pub use rules::{PEAK_OVER_LEAST, Reading, Rule, Suggestions};

use super::no_slope::MIN_STEPS;
use crate::train::ConfigError;

/// How the rates of a sweep are spaced.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Scale {
    /// Each is the one before times a constant: all sizes get the same number of steps.
    #[default]
    Log,
    /// Each is the one before plus a constant.
    Linear,
}

impl Scale {
    /// Every scale.
    pub const ALL: [Self; 2] = [Self::Log, Self::Linear];

    /// Returns the name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Linear => "linear",
        }
    }
}

/// The rates that are tried.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Range {
    /// The first rate.
    pub start: f64,
    /// The last.
    pub end: f64,
    /// How many.
    pub n_steps: usize,
    /// How they are spaced.
    pub scale: Scale,
}

impl Default for Range {
    fn default() -> Self {
        Self { start: 1e-7, end: 10.0, n_steps: 100, scale: Scale::Log }
    }
}

impl Range {
    /// The rate of step `ix`, from 0.
    pub fn rate(&self, ix: usize) -> f64 {
        let progress = ix as f64 / (self.n_steps - 1).max(1) as f64;
        match self.scale {
            Scale::Log => self.start * (self.end / self.start).powf(progress),
            Scale::Linear => self.start + (self.end - self.start) * progress,
        }
    }

    /// Refuses numbers that make no sweep.
    ///
    /// # Errors
    /// [`ConfigError::Range`], or [`ConfigError::Value`] for too few steps.
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

/// The part that the smoothed loss keeps of itself at each step.
const SMOOTHING: f64 = 0.98;

/// A sweep ends when the smoothed loss has grown to so many times its smallest.
const DIVERGED: f64 = 4.0;

/// A step of a sweep.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Point {
    /// The learning rate of the step.
    pub rate: f64,
    /// The mean loss of its batch, before the update, cleared of the batch: see [`Still::cleared`].
    pub loss: f64,
    /// The exponential mean of the losses so far, corrected for its start at 0.
    pub smoothed: f64,
}

/// The losses of a sweep's batches on the network as it is before the sweep, in the order of the steps.
///
/// One batch is easier than the next, and this noise, some tenths with batches of 16, hides the slope. It
/// is in both losses of a batch, and goes out of their difference (common random numbers: Glasserman,
/// "Monte Carlo Methods in Financial Engineering", 2003, section 7.1). Where the rates are too low to change the
/// network, nothing is left of it.
#[derive(Clone, PartialEq, Debug)]
pub struct Still {
    losses: Vec<f64>,
    mean: f64,
}

impl Still {
    /// The losses, one for each step of the sweep.
    pub fn new(losses: Vec<f64>) -> Self {
        let mean = losses.iter().sum::<f64>() / losses.len() as f64;
        Self { losses, mean }
    }

    /// The mean of the losses: the height that a curve starts from.
    pub fn mean(&self) -> f64 {
        self.mean
    }

    /// The loss of step `ix` without what its batch contributes: the mean of the still losses, and the change of
    /// this batch's loss since.
    pub fn cleared(&self, ix: usize, loss: f64) -> f64 {
        self.mean + (loss - self.losses[ix])
    }
}

/// The steps of a sweep so far.
#[derive(Clone, PartialEq, Debug)]
pub struct Curve {
    start: f64,
    points: Vec<Point>,
    mean: f64,
}

impl Curve {
    /// A curve without steps. `start` is the loss of the untouched network.
    pub fn new(start: f64) -> Self {
        Self { start, points: Vec::new(), mean: 0.0 }
    }

    /// Adds a step. Returns whether the sweep should go on: not when the loss is no number, or the
    /// smoothed loss has passed four times its smallest.
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

    /// The steps.
    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// The loss of the untouched network.
    pub fn start(&self) -> f64 {
        self.start
    }
}

#[cfg(test)]
mod tests;
