//! The contract of an op: the shape rule, the backward rule, the launches on a GPU. Its reference in plain Rust is
//! [`Reference`](super::Reference)'s.

use std::any::Any;
use std::fmt::Debug;

use super::reference::DynReference;
use super::{ElementType, Node, NodeIo, Tape, Value, ValueId};
use crate::kernel::{Launch, Target, Tile};

/// What a node makes, before it is a value.
#[derive(Clone, PartialEq, Debug)]
pub struct OutputSpec {
    /// `y`, `d_weight`, `index`.
    pub name: &'static str,
    /// Its shape.
    pub shape: Vec<usize>,
    /// The type of its elements.
    pub element: ElementType,
}

impl OutputSpec {
    /// An output of real numbers.
    pub fn real(name: &'static str, shape: &[usize]) -> Self {
        Self { name, shape: shape.to_vec(), element: ElementType::F32 }
    }

    /// An output of 32-bit words.
    pub fn words(name: &'static str, shape: &[usize]) -> Self {
        Self { name, shape: shape.to_vec(), element: ElementType::U32 }
    }
}

/// What a node of the tape computes. Its reference is a supertrait: there is no op without one.
pub trait Op: DynReference + Any + Debug + Send + Sync {
    /// `conv2d.forward`: the stem, and which of its nodes this is.
    fn name(&self) -> &'static str;

    /// What listings show behind the name: `3x3, stride 1, padding 1`.
    fn attributes(&self) -> String {
        String::new()
    }

    /// The shape rule.
    ///
    /// # Panics
    /// When the inputs do not fit the op, naming it and the shapes.
    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec>;

    /// Pairs of an output and the input that it updates in place.
    fn aliases(&self) -> &'static [(usize, usize)] {
        &[]
    }

    /// The backward rule: appends the nodes that compute the gradients of the inputs from those of
    /// the outputs, and returns one (or none) for each input.
    ///
    /// # Panics
    /// For an op that is no part of a forward pass.
    fn backward(
        &self,
        _tape: &mut Tape,
        _node: &Node,
        _d_outputs: &[Option<ValueId>],
    ) -> Vec<Option<ValueId>> {
        panic!("{} has no backward rule", self.name());
    }

    /// Additions and multiplications of real numbers that the formula needs.
    fn flops(&self, io: &NodeIo<'_>) -> u64;

    /// How its product can be cut on a GPU, where it is one; [`Target::tile`] says which way to launch.
    fn tiles(&self, _io: &NodeIo<'_>) -> &'static [Tile] {
        &[]
    }

    /// What it launches on a GPU.
    fn launch(&self, io: &NodeIo<'_>, target: &Target) -> Launch;
}
