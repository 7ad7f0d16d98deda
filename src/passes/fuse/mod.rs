//! Fusion: rewrites of the tape, a rule a file.
//!
//! Rules run on the forward part, before [`backward`](super::backward): a fused op has a backward rule of its own, so
//! that the backward pass is fused too. With every rule off, the tape is the textbook's.

pub mod batch_norm_relu;
pub mod conv_batch_norm;
pub mod conv_max_pool;

use serde::{Deserialize, Serialize};

use crate::tape::Tape;

/// Which rules to apply.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default = "unfused")]
pub struct Fusion {
    /// `conv2d` and `max_pool2d` become one op, and the tensor between them is never stored.
    pub conv_max_pool: bool,
    /// `batch_norm` and `relu` become one op.
    pub batch_norm_relu: bool,
    /// The addition of a residual behind them joins in.
    pub residual_add: bool,
    /// `conv2d` computes mean and M2 of its output for the `batch_norm` behind it.
    pub conv_batch_norm: bool,
}

/// What holds of a rule that a file knows nothing of: it was not there.
fn unfused() -> Fusion {
    Fusion::NONE
}

impl Fusion {
    /// Every rule.
    pub const ALL: Fusion = Fusion {
        conv_max_pool: true,
        batch_norm_relu: true,
        residual_add: true,
        conv_batch_norm: true,
    };
    /// No rule: the textbook's tape.
    pub const NONE: Fusion = Fusion {
        conv_max_pool: false,
        batch_norm_relu: false,
        residual_add: false,
        conv_batch_norm: false,
    };

    /// Every rule but these; without any named, none.
    pub fn without(rules: &[Rule]) -> Self {
        if rules.is_empty() {
            return Self::NONE;
        }
        Self {
            conv_max_pool: !rules.contains(&Rule::ConvMaxPool),
            batch_norm_relu: !rules.contains(&Rule::BatchNormRelu),
            residual_add: !rules.contains(&Rule::ResidualAdd),
            conv_batch_norm: !rules.contains(&Rule::ConvBatchNorm),
        }
    }
}

/// A rule, as the command line calls it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rule {
    /// A convolution and the max pool behind it
    ConvMaxPool,
    /// A batch norm and the ReLU behind it
    BatchNormRelu,
    /// And the addition behind both
    ResidualAdd,
    /// A convolution and the mean and M2 of its output, for the batch norm behind it
    ConvBatchNorm,
}

impl Rule {
    /// Every rule.
    pub const ALL: [Self; 4] =
        [Self::ConvMaxPool, Self::BatchNormRelu, Self::ResidualAdd, Self::ConvBatchNorm];

    /// Returns the name, in kebab case.
    pub fn name(self) -> &'static str {
        match self {
            Self::ConvMaxPool => "conv-max-pool",
            Self::BatchNormRelu => "batch-norm-relu",
            Self::ResidualAdd => "residual-add",
            Self::ConvBatchNorm => "conv-batch-norm",
        }
    }
}

impl Default for Fusion {
    fn default() -> Self {
        Self::ALL
    }
}

/// Applies the rules to a tape without a backward pass, and returns the number of places rewritten.
pub fn fuse(tape: &mut Tape, fusion: Fusion) -> usize {
    let pools = if fusion.conv_max_pool { conv_max_pool::apply(tape) } else { 0 };
    let norms = match fusion.batch_norm_relu {
        true => batch_norm_relu::apply(tape, fusion.residual_add),
        false => 0,
    };
    // Last: it rewrites batch norms with and without a fused ReLU.
    let mean_m2 = if fusion.conv_batch_norm { conv_batch_norm::apply(tape) } else { 0 };
    pools + norms + mean_m2
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A run that was begun before a rule was there goes on without it, and makes the bits that it would have made.
    #[test]
    fn a_rule_that_a_file_knows_nothing_of_is_left_out() {
        let text = r#"{"conv_max_pool":true,"batch_norm_relu":true,"residual_add":true}"#;
        let fusion: Fusion = serde_json::from_str(text).expect("an older file");
        assert_eq!(fusion, Fusion { conv_batch_norm: false, ..Fusion::ALL });
    }
}
