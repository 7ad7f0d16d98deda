//! Nodes: one op applied to values.

use std::sync::Arc;

use super::{Tape, Value, ValueId};
use crate::tape::Op;

/// The part of a step that a node belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// From pixels to loss.
    Forward,
    /// From the loss to every gradient.
    Backward,
    /// What changes the state: optimizer, running statistics, metrics. Always last.
    Update,
}

impl Phase {
    /// The word that listings use.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Forward => "forward",
            Phase::Backward => "backward",
            Phase::Update => "update",
        }
    }
}

/// One op, applied: a line of the tape.
#[derive(Clone, Debug)]
pub struct Node {
    /// What is computed.
    pub op: Arc<dyn Op>,
    /// The values it reads.
    pub inputs: Vec<ValueId>,
    /// The values it makes. One that aliases an input (see [`Op::aliases`]) is that input, updated.
    pub outputs: Vec<ValueId>,
    /// The layer it belongs to, `layer1.0`.
    pub scope: String,
    /// The part of the step.
    pub phase: Phase,
}

impl Node {
    /// The block of layers that the node belongs to: `layer1` of `layer1.0`; empty for a node of none.
    pub fn layer(&self) -> &str {
        self.scope.split('.').next().unwrap_or_default()
    }

    /// The label of the node in listings, passes and buffers: `layer1.0.conv2d.d_weight`.
    pub fn label(&self) -> String {
        if self.scope.is_empty() {
            self.op.name().to_string()
        } else {
            format!("{}.{}", self.scope, self.op.name())
        }
    }
}

/// What an op may know of a node it is applied in: the values, without their contents.
pub struct NodeIo<'a> {
    tape: &'a Tape,
    node: &'a Node,
}

impl<'a> NodeIo<'a> {
    /// A view of `node`, which must be on `tape`.
    pub fn new(tape: &'a Tape, node: &'a Node) -> Self {
        Self { tape, node }
    }

    /// The `i`-th input.
    pub fn input(&self, i: usize) -> &'a Value {
        self.tape.value(self.node.inputs[i])
    }

    /// The `i`-th output.
    pub fn output(&self, i: usize) -> &'a Value {
        self.tape.value(self.node.outputs[i])
    }

    /// How many values are read.
    pub fn n_inputs(&self) -> usize {
        self.node.inputs.len()
    }

    /// How many values are made.
    pub fn n_outputs(&self) -> usize {
        self.node.outputs.len()
    }

    /// The shape of the `i`-th input.
    pub fn input_shape(&self, i: usize) -> &'a [usize] {
        &self.input(i).shape
    }

    /// The shape of the `i`-th output.
    pub fn output_shape(&self, i: usize) -> &'a [usize] {
        &self.output(i).shape
    }

    /// Bytes read and written if every value passes memory once.
    pub fn bytes(&self) -> u64 {
        let values = self.node.inputs.iter().chain(&self.node.outputs);
        values.map(|&id| self.tape.value(id).bytes()).sum()
    }
}
