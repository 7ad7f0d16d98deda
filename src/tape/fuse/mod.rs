//! Fusion: rewrites of the tape, a rule a file.
//!
//! Rules run on the forward part, before [`Tape::backward`](super::Tape::backward): a fused op has a
//! backward rule of its own, so that what was fused forward is fused backward too. With every rule
//! off, the tape is the textbook's.

pub mod conv_max_pool;
pub mod dead;

use super::Tape;

/// Which rules to apply.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fusion {
    /// `conv2d` and `max_pool2d` become one op, and the tensor between them is never stored.
    pub conv_max_pool: bool,
}

impl Fusion {
    /// Every rule.
    pub const ALL: Fusion = Fusion { conv_max_pool: true };
    /// No rule: the textbook's tape.
    pub const NONE: Fusion = Fusion { conv_max_pool: false };
}

impl Default for Fusion {
    fn default() -> Self {
        Self::ALL
    }
}

impl Tape {
    /// Applies the rules, and returns how many places were rewritten.
    pub fn fuse(&mut self, fusion: Fusion) -> usize {
        if fusion.conv_max_pool { conv_max_pool::apply(self) } else { 0 }
    }

    /// How many nodes read a value.
    fn n_uses(&self, id: super::ValueId) -> usize {
        self.nodes.iter().flat_map(|n| &n.inputs).filter(|&&input| input == id).count()
    }
}
