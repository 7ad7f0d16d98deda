//! Schedules: the learning rate of each step, one file each. A schedule computes in f64, as PyTorch's does.
//!
//! A new schedule is a file here, a value of [`ScheduleKind`], and an arm of [`Recipe::schedule`](super::Recipe::schedule).
//! Its own settings are declared in `settings.rs`, restricted to it.

mod cosine;
mod multi_step;
mod one_cycle;

use std::fmt::Debug;

use serde::{Deserialize, Serialize};

use super::ConfigError;
use crate::base::choice::Choice;

pub use cosine::Cosine;
pub use multi_step::MultiStep;
pub use one_cycle::{Anneal, OneCycle, PCT_START};

/// A schedule of the learning rate over a run.
pub trait Schedule: Debug {
    /// Returns the learning rate of a step, counted from 0. A step after the last one has the learning rate of the last
    /// one.
    fn rate(&self, step: usize) -> f64;

    /// Checks the range of each number.
    ///
    /// # Errors
    /// [`ConfigError::Value`] if a number is out of its range. The error names the setting.
    fn check(&self) -> Result<(), ConfigError>;
}

/// The kind of a schedule.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScheduleKind {
    /// [`OneCycle`].
    #[default]
    OneCycle,
    /// One learning rate for all steps.
    Constant,
    /// [`MultiStep`].
    Step,
    /// [`Cosine`].
    Cosine,
}

impl Choice for ScheduleKind {
    const ALL: &'static [(Self, &'static str, &'static str)] = &[
        (
            Self::OneCycle,
            "one-cycle",
            "Rise to --max-lr, and fall to the first learning rate or below",
        ),
        (Self::Constant, "constant", "--max-lr in every step"),
        (Self::Step, "step", "--max-lr, multiplied by --gamma at each of --milestones"),
        (
            Self::Cosine,
            "cosine",
            "Half a period of the cosine from --max-lr to --min-lr, after --warmup-epochs",
        ),
    ];
}

/// One learning rate for all steps.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Constant {
    /// The learning rate.
    pub lr: f64,
}

impl Schedule for Constant {
    fn rate(&self, _step: usize) -> f64 {
        self.lr
    }

    fn check(&self) -> Result<(), ConfigError> {
        check_rate("max-lr", self.lr)
    }
}

/// Returns the error of a setting that is out of its range. `must` is the range, as the words after "must".
fn refuse(setting: &'static str, value: f64, must: impl Into<String>) -> Result<(), ConfigError> {
    Err(ConfigError::Value { setting, value: format!("{value:?}"), must: must.into() })
}

/// Checks that a number is finite and above 0.
fn positive(setting: &'static str, value: f64) -> Result<(), ConfigError> {
    match value.is_finite() && value > 0.0 {
        true => Ok(()),
        false => refuse(setting, value, "be a finite number above 0"),
    }
}

/// Checks that a learning rate is above 0 and finite, also in f32, in which devices compute.
fn check_rate(setting: &'static str, rate: f64) -> Result<(), ConfigError> {
    positive(setting, rate)?;
    if rate > f32::MAX.into() {
        return refuse(setting, rate, format!("give a learning rate of at most {:e}", f32::MAX));
    }
    if rate as f32 == 0.0 {
        return refuse(setting, rate, format!("be at least {:e}", f32::MIN_POSITIVE));
    }
    Ok(())
}
