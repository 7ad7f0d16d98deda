//! The contract of an op: its shape rule, its backward rule and its GPU launches. The CPU side is
//! [`Reference`](super::Reference).

use std::any::Any;
use std::fmt::Debug;

use super::reference::ErasedReference;
use super::{ElementType, Node, NodeIo, Tape, Value, ValueId};
use crate::kernel::{Launch, Target, Tile};

/// The description of an output before it becomes a value of the tape.
#[derive(Clone, PartialEq, Debug)]
pub struct OutputSpec {
    /// The output's name: `y`, `d_weight`, `index`.
    pub name: &'static str,
    /// The shape.
    pub shape: Vec<usize>,
    /// The element type.
    pub element: ElementType,
}

impl OutputSpec {
    /// Returns the description of an f32 output.
    pub fn real(name: &'static str, shape: &[usize]) -> Self {
        Self { name, shape: shape.to_vec(), element: ElementType::F32 }
    }

    /// Returns the description of a u32 output.
    pub fn words(name: &'static str, shape: &[usize]) -> Self {
        Self { name, shape: shape.to_vec(), element: ElementType::U32 }
    }
}

/// The computation of a node. The CPU reference is a supertrait, so every op has a reference.
pub trait Op: ErasedReference + Any + Debug + Send + Sync {
    /// Returns the name of the op and, after a dot, of the part that the node computes: `conv2d.forward`,
    /// `conv2d.d_weight`.
    fn name(&self) -> &'static str;

    /// Returns the attributes that listings print after the name: `3x3, stride 1, padding 1`.
    fn attributes(&self) -> String {
        String::new()
    }

    /// Returns the outputs' names, shapes and types from the inputs (the shape rule).
    ///
    /// # Panics
    /// If the inputs do not fit the op; the message has the op and the shapes.
    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec>;

    /// Returns the outputs that update an input in place, as pairs of the output's index and the input's index.
    fn aliases(&self) -> &'static [(usize, usize)] {
        &[]
    }

    /// Returns false if no gradient flows from the outputs to the inputs. The outputs then require no gradient, and the
    /// backward pass does not visit the node.
    fn has_gradient(&self) -> bool {
        true
    }

    /// Appends the nodes that compute the gradients of the inputs from the gradients of the outputs (the backward
    /// rule). Returns one gradient per input; None for an input without a gradient.
    ///
    /// # Panics
    /// If the op has no backward rule. Only ops of the forward pass have a backward rule.
    fn backward(
        &self,
        _tape: &mut Tape,
        _node: &Node,
        _d_outputs: &[Option<ValueId>],
    ) -> Vec<Option<ValueId>> {
        panic!("{} has no backward rule", self.name());
    }

    /// Returns the number of floating-point additions and multiplications in the op's formula.
    fn flops(&self, io: &NodeIo<'_>) -> u64;

    /// Returns the tiles from which the tuner may choose; empty for an op that is not a matrix product. [`Op::launch`]
    /// reads the chosen tile from [`Target::tile`].
    fn tiles(&self, _io: &NodeIo<'_>) -> &'static [Tile] {
        &[]
    }

    /// Returns the launch that computes the node on a GPU.
    fn launch(&self, io: &NodeIo<'_>, target: &Target) -> Launch;
}
