//! Fusion: rewrites of the tape, a rule a file.
//!
//! Rules run on the forward part, before [`Tape::backward`](super::Tape::backward): a fused op has a
//! backward rule of its own, so that what was fused forward is fused backward too. With every rule
//! off, the tape is the textbook's.

pub mod batch_norm_relu;
pub mod conv_max_pool;
pub mod dead;

use super::Tape;

/// Which rules to apply.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fusion {
    /// `conv2d` and `max_pool2d` become one op, and the tensor between them is never stored.
    pub conv_max_pool: bool,
    /// `batch_norm` and `relu` become one op.
    pub batch_norm_relu: bool,
    /// The addition of a residual behind them joins in.
    pub residual_add: bool,
}

impl Fusion {
    /// Every rule.
    pub const ALL: Fusion =
        Fusion { conv_max_pool: true, batch_norm_relu: true, residual_add: true };
    /// No rule: the textbook's tape.
    pub const NONE: Fusion =
        Fusion { conv_max_pool: false, batch_norm_relu: false, residual_add: false };

    /// Every rule but these; without any named, none.
    pub fn without(rules: &[Rule]) -> Self {
        if rules.is_empty() {
            return Self::NONE;
        }
        Self {
            conv_max_pool: !rules.contains(&Rule::ConvMaxPool),
            batch_norm_relu: !rules.contains(&Rule::BatchNormRelu),
            residual_add: !rules.contains(&Rule::ResidualAdd),
        }
    }
}

/// A rule, as the command line calls it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Rule {
    /// A convolution and the max pool behind it
    ConvMaxPool,
    /// A batch norm and the ReLU behind it
    BatchNormRelu,
    /// And the addition behind both
    ResidualAdd,
}

impl Default for Fusion {
    fn default() -> Self {
        Self::ALL
    }
}

impl Tape {
    /// Applies the rules, and returns how many places were rewritten.
    pub fn fuse(&mut self, fusion: Fusion) -> usize {
        let pools = if fusion.conv_max_pool { conv_max_pool::apply(self) } else { 0 };
        let norms = match fusion.batch_norm_relu {
            true => batch_norm_relu::apply(self, fusion.residual_add),
            false => 0,
        };
        pools + norms
    }

    /// How many nodes read a value.
    fn n_uses(&self, id: super::ValueId) -> usize {
        self.nodes.iter().flat_map(|n| &n.inputs).filter(|&&input| input == id).count()
    }
}
