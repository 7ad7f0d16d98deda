//! Shortcuts that are scaled, projected or gated.

use wgrad::nn::layers::{self, Conv, Init};
use wgrad::nn::networks::parts;
use wgrad::ops::{add::add, detach::detach, scale::scale};
use wgrad::tape::{Tape, ValueId};

use super::residual::Joint;

/// A change of every shortcut.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Change {
    /// The shortcut times a constant λ.
    Scale(f32),
    /// A 1x1 convolution.
    Convolution,
    /// The shortcut times a gate of the same shape: the sigmoid of a 1x1 convolution of x with a bias of 0.
    Gate,
}

impl Change {
    /// Records the joint of a block. With `alone`, the branch has no gradient, so only shortcuts pass the gradient on.
    pub fn join(self, tape: &mut Tape, joint: &Joint<'_>, alone: bool) -> ValueId {
        let Joint { name, x, branch, .. } = *joint;
        let (shape, own) = (tape.shape(branch).to_vec(), tape.shape(x).to_vec());
        let mut shortcut = x;
        if shape != own {
            shortcut = parts::padded_shortcut(tape, name, x, shape[3], own[1] / shape[1]);
        }
        let pointwise =
            Conv { bias: true, zero_bias: true, ..parts::pointwise(1, Init::KaimingNormalFanOut) };
        let scope = format!("{name}.shortcut");
        shortcut = match self {
            Self::Scale(1.0) => shortcut,
            Self::Scale(factor) => scale(tape, shortcut, factor),
            Self::Convolution => layers::conv2d(tape, &scope, shortcut, shape[3], pointwise),
            Self::Gate => {
                let gate = layers::conv2d(tape, &scope, shortcut, shape[3], pointwise);
                let gate = layers::sigmoid(tape, &scope, gate);
                layers::mul(tape, &scope, shortcut, gate)
            }
        };
        let branch = if alone { detach(tape, branch) } else { branch };
        add(tape, branch, shortcut)
    }
}
