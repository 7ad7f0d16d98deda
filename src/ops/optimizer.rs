//! Optimizers: ops that move the parameters by their gradients, one file each.
//!
//! A new optimizer is an op like the others (`src/ops/<optimizer>.rs`, `shaders/<optimizer>/`,
//! `docs/ops/<optimizer>.md`) that implements [`Optimizer`], and a line in the list in `optimizers.rs`.
//! `docs/adding_an_optimizer.md` walks through [`sgd`](super::sgd).

use std::fmt::Debug;

use super::segments::Segment;
use crate::tape::{StateEntry, Tape};

/// An optimizer with its hyperparameters.
pub trait Optimizer: Debug {
    /// Returns the name and the hyperparameters that differ from PyTorch's defaults, such as `SGD, momentum 0.9`.
    fn description(&self) -> String;

    /// Returns the names of the state buffers, in labels and in checkpoints. Each buffer has the parameters' layout, and
    /// its elements are 0 before the first step.
    fn state(&self) -> &'static [&'static str];

    /// Returns the scalars of training step `step` (from 1) at learning rate `lr` for
    /// [`StepScalars::optimizer`](crate::kernel::StepScalars::optimizer), computed in f64. Scalars that the optimizer's
    /// shader does not read are 0.
    fn scalars(&self, lr: f64, step: u64) -> [f32; 4];

    /// Records one step over all parameters, in place, and adds the optimizer's buffers to the state.
    fn record(&self, tape: &mut Tape);
}

/// The hyperparameters of all optimizers, as the settings of a run give them. Each optimizer reads those that it has.
#[derive(Clone, Copy, PartialEq, Default, Debug)]
pub struct Hyperparameters {
    /// The factor of SGD's earlier steps in the sum of a step, in 0..1.
    pub momentum: f64,
    /// True for Nesterov's form of momentum.
    pub nesterov: bool,
    /// The weight decay.
    pub weight_decay: WeightDecay,
}

/// The weight decay of an optimizer.
#[derive(Clone, Copy, PartialEq, Default, Debug)]
pub struct WeightDecay {
    /// The rate, at least 0.
    pub rate: f64,
    /// True if weight decay leaves out the parameters of rank 1: biases, and the scales and shifts of batch norms.
    pub is_partial: bool,
}

impl WeightDecay {
    /// Returns the decay of all parameters at this rate.
    pub fn of_all(rate: f64) -> Self {
        Self { rate, is_partial: false }
    }

    /// Returns this decay for parameters of rank 2 and more alone.
    pub fn partial(self) -> Self {
        Self { is_partial: true, ..self }
    }

    /// Returns the function that groups members for [`segments`]: those that decay, and those that do not. Without a
    /// partial decay there is one group, and one dispatch.
    pub(super) fn group(self) -> impl Fn(&StateEntry) -> bool {
        let is_split = self.is_partial && self.rate != 0.0;
        move |member| !is_split || member.shape.len() > 1
    }

    /// Returns the rate of the members in a segment of [`WeightDecay::group`].
    pub(super) fn rate_of(self, segment: Segment) -> f64 {
        if segment.group { self.rate } else { 0.0 }
    }

    /// Returns words such as `, weight decay 0.01`; nothing if the rate is `default`.
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
