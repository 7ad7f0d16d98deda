//! Fusion: rewrites of the tape, one rule per file.
//!
//! Rules run on the forward part, before [`backward`](super::backward). A fused op has its own backward rule, so the
//! backward pass is fused, too. Without rules, the tape has one node per op of the network.

pub mod batch_norm_add_relu;
pub mod batch_norm_relu;
pub mod conv_batch_norm;
pub mod conv_max_pool;
pub mod winograd;

use serde::{Deserialize, Serialize};

use crate::base::choice::Choice;
use crate::tape::Tape;

/// The fusion rules that are applied to a tape.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default = "unfused")]
pub struct Fusion {
    /// `conv2d` and `max_pool2d` become one op, and the tensor between them is never stored.
    pub conv_max_pool: bool,
    /// `batch_norm`, the addition of a residual after it, and the `relu` after the addition become one op.
    pub batch_norm_add_relu: bool,
    /// `batch_norm` and `relu` become one op.
    pub batch_norm_relu: bool,
    /// The addition of a residual after `batch_norm` and `relu` becomes a part of the op that replaces `batch_norm` and
    /// `relu`.
    pub residual_add: bool,
    /// `conv2d` computes mean and M2 of its output, for the `batch_norm` after it.
    pub conv_batch_norm: bool,
    /// `conv2d` and its gradients may use Winograd's algorithm.
    pub winograd: bool,
}

/// Returns the value of the rules that a file of settings does not contain. Such a file is older than these rules, so
/// they are off.
fn unfused() -> Fusion {
    Fusion::NONE
}

impl Fusion {
    /// Every rule.
    pub const ALL: Fusion = Fusion {
        conv_max_pool: true,
        batch_norm_add_relu: true,
        batch_norm_relu: true,
        residual_add: true,
        conv_batch_norm: true,
        winograd: true,
    };
    /// No rule.
    pub const NONE: Fusion = Fusion {
        conv_max_pool: false,
        batch_norm_add_relu: false,
        batch_norm_relu: false,
        residual_add: false,
        conv_batch_norm: false,
        winograd: false,
    };

    /// Returns all rules except `rules`. An empty list turns all rules off, because `--no-fuse` without a value gives
    /// an empty list.
    pub fn without(rules: &[Rule]) -> Self {
        if rules.is_empty() {
            return Self::NONE;
        }
        Self {
            conv_max_pool: !rules.contains(&Rule::ConvMaxPool),
            batch_norm_add_relu: !rules.contains(&Rule::BatchNormAddRelu),
            batch_norm_relu: !rules.contains(&Rule::BatchNormRelu),
            residual_add: !rules.contains(&Rule::ResidualAdd),
            conv_batch_norm: !rules.contains(&Rule::ConvBatchNorm),
            winograd: !rules.contains(&Rule::Winograd),
        }
    }
}

/// A fusion rule that the command line can select.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rule {
    /// See [`Fusion::conv_max_pool`].
    ConvMaxPool,
    /// See [`Fusion::batch_norm_add_relu`].
    BatchNormAddRelu,
    /// See [`Fusion::batch_norm_relu`].
    BatchNormRelu,
    /// See [`Fusion::residual_add`].
    ResidualAdd,
    /// See [`Fusion::conv_batch_norm`].
    ConvBatchNorm,
    /// See [`Fusion::winograd`].
    Winograd,
}

impl Choice for Rule {
    const ALL: &'static [(Self, &'static str, &'static str)] = &[
        (Self::ConvMaxPool, "conv-max-pool", "A convolution and the max pool after it"),
        (
            Self::BatchNormAddRelu,
            "batch-norm-add-relu",
            "A batch norm, the residual addition after it, and the ReLU after the addition",
        ),
        (Self::BatchNormRelu, "batch-norm-relu", "A batch norm and the ReLU after it"),
        (
            Self::ResidualAdd,
            "residual-add",
            "A batch norm, the ReLU after it, and the residual addition after the ReLU",
        ),
        (
            Self::ConvBatchNorm,
            "conv-batch-norm",
            "A convolution and the mean and M2 of its output, for the batch norm after it",
        ),
        (Self::Winograd, "winograd", "Winograd's algorithm for convolutions with a 3x3 kernel"),
    ];
}

impl Default for Fusion {
    fn default() -> Self {
        Self::ALL
    }
}

/// Applies the rules to a tape without a backward pass, and returns the number of rewrites.
pub fn fuse(tape: &mut Tape, fusion: Fusion) -> usize {
    tape.rewrite(|tape| {
        let pools = if fusion.conv_max_pool { conv_max_pool::apply(tape) } else { 0 };
        let blocks = if fusion.batch_norm_add_relu { batch_norm_add_relu::apply(tape) } else { 0 };
        let norms = match fusion.batch_norm_relu {
            true => batch_norm_relu::apply(tape, fusion.residual_add),
            false => 0,
        };
        // This rule is applied after the rules above because it rewrites batch norms with and without a fused ReLU.
        let mean_m2 = if fusion.conv_batch_norm { conv_batch_norm::apply(tape) } else { 0 };
        let winograd = if fusion.winograd { winograd::apply(tape) } else { 0 };
        pools + blocks + norms + mean_m2 + winograd
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A run that was started before a rule existed resumes without the rule, so the results of the run keep every bit.
    #[test]
    fn a_rule_that_a_file_does_not_name_is_off() {
        let text = r#"{"conv_max_pool":true,"batch_norm_relu":true,"residual_add":true}"#;
        let fusion: Fusion = serde_json::from_str(text).expect("an older file");
        let expected = Fusion {
            conv_max_pool: true,
            batch_norm_relu: true,
            residual_add: true,
            ..Fusion::NONE
        };
        assert_eq!(fusion, expected);
    }
}
