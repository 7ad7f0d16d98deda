//! Optimizers: ops that update the parameters from their gradients, one file each.
//!
//! A new optimizer is an op like the others (`src/ops/<optimizer>.rs`, `shaders/<optimizer>/`,
//! `docs/ops/<optimizer>.md`) that implements [`Optimizer`], and a line in the list in `optimizers.rs`.
//! `docs/adding_an_optimizer.md` explains the steps with [`sgd`](super::sgd) as the example.

use std::fmt::Debug;

use super::lr_scale::LrScale;
use crate::tape::{StateEntry, Tape};

/// An optimizer with its hyperparameters.
pub trait Optimizer: Debug {
    /// Returns a text with the optimizer's name and the hyperparameters that differ from PyTorch's defaults, such as
    /// `SGD, momentum 0.9`.
    fn description(&self) -> String;

    /// Returns the names of the optimizer's state buffers for labels and checkpoints. Each buffer has the parameters'
    /// layout, and its elements are 0 before the first step.
    fn state(&self) -> &'static [&'static str];

    /// Returns the scalars of training step `step` (from 1) at learning rate `lr` for
    /// [`StepScalars::optimizer`](crate::kernel::StepScalars::optimizer), computed in f64. Scalars that the optimizer's
    /// shader does not read are 0.
    fn scalars(&self, lr: f64, step: u64) -> [f32; 4];

    /// Records one step over all parameters that are not frozen, in place, and adds the optimizer's buffers to the
    /// state. The learning rate of a parameter is that of the step times its factor in `lr_scale`.
    fn record_scaled(&self, tape: &mut Tape, lr_scale: &LrScale);

    /// Records one step as [`Optimizer::record_scaled`] does, at the same learning rate for all parameters.
    fn record(&self, tape: &mut Tape) {
        self.record_scaled(tape, &LrScale::default());
    }
}

/// The hyperparameters of all optimizers, as the settings of a run give them. Each optimizer
/// reads its own hyperparameters and ignores the others.
#[derive(Clone, Copy, PartialEq, Default, Debug)]
pub struct Hyperparameters {
    /// The momentum of SGD, in 0..1: the factor of the momentum buffer before a step adds the gradient to it.
    pub momentum: f64,
    /// True for Nesterov's form of momentum.
    pub nesterov: bool,
    /// The weight decay.
    pub weight_decay: WeightDecay,
}

/// The weight decay of an optimizer.
#[derive(Clone, Copy, PartialEq, Default, Debug)]
pub struct WeightDecay {
    /// The factor of weight decay, at least 0; 0 for no weight decay.
    pub rate: f64,
    /// True if weight decay leaves out the parameters of rank 1: biases, and the scales and shifts of batch norms.
    pub is_partial: bool,
}

impl WeightDecay {
    /// Returns weight decay for all parameters, at this rate.
    pub fn of_all(rate: f64) -> Self {
        Self { rate, is_partial: false }
    }

    /// Returns weight decay at the same rate, but only for the parameters of rank 2 and more.
    pub fn partial(self) -> Self {
        Self { is_partial: true, ..self }
    }

    /// Returns the rate for a parameter; 0 for a parameter that does not decay.
    pub(super) fn rate_of(self, member: &StateEntry) -> f64 {
        if self.is_partial && member.shape.len() < 2 { 0.0 } else { self.rate }
    }

    /// Returns a text such as `, weight decay 0.01` for the optimizer's description; an empty text if the rate is
    /// `default`.
    pub(super) fn words(self, default: f64) -> String {
        match self {
            Self { rate, is_partial: true } if rate != 0.0 => {
                format!(", weight decay {rate} without biases and batch norm")
            }
            Self { rate, .. } if rate != default => format!(", weight decay {rate}"),
            _ => String::new(),
        }
    }
}
