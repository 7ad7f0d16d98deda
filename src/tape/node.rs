//! Nodes: one op applied to values.

use std::sync::Arc;

use super::{StateLayout, Tape, Value, ValueId};
use crate::tape::Op;

/// The part of a training step that a node belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// From the pixels to the loss.
    Forward,
    /// From the loss to the gradients.
    Backward,
    /// The addition of the results of a shard to those of the shards before it; none in a step without shards.
    Reduce,
    /// Updates of the state: parameters, running statistics and metrics. These nodes are the last nodes of a tape.
    Update,
}

impl Phase {
    /// Returns the name in listings.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Forward => "forward",
            Phase::Backward => "backward",
            Phase::Reduce => "reduce",
            Phase::Update => "update",
        }
    }
}

/// One application of an op to values: an entry in the tape's list of nodes.
#[derive(Clone, Debug)]
pub struct Node {
    /// The op.
    pub op: Arc<dyn Op>,
    /// The values that the op reads.
    pub inputs: Vec<ValueId>,
    /// The values that the op computes. An output that aliases an input (see [`Op::aliases`]) is that input,
    /// updated in place.
    pub outputs: Vec<ValueId>,
    /// The name of the layer that recorded the node, such as `layer1.0`; empty outside layers.
    pub scope: String,
    /// The part of the step.
    pub phase: Phase,
}

impl Node {
    /// Returns the name of the block of layers that the node belongs to, such as `layer1` for the scope `layer1.0`;
    /// empty outside layers.
    pub fn layer(&self) -> &str {
        self.scope.split('.').next().unwrap_or_default()
    }

    /// Returns the label in listings, profiles and buffer names: `layer1.0.conv2d.d_weight`.
    pub fn label(&self) -> String {
        if self.scope.is_empty() {
            self.op.name().to_string()
        } else {
            format!("{}.{}", self.scope, self.op.name())
        }
    }
}

/// The shapes, types and names of a node's inputs and outputs. An op reads them to compute shapes and launches. The
/// contents of the values are not included.
pub struct NodeIo<'a> {
    tape: &'a Tape,
    node: &'a Node,
}

impl<'a> NodeIo<'a> {
    /// Returns the description of the values of `node`. The node must be on `tape`.
    pub fn new(tape: &'a Tape, node: &'a Node) -> Self {
        Self { tape, node }
    }

    /// Returns the i-th input.
    pub fn input(&self, i: usize) -> &'a Value {
        self.tape.value(self.node.inputs[i])
    }

    /// Returns the i-th output.
    pub fn output(&self, i: usize) -> &'a Value {
        self.tape.value(self.node.outputs[i])
    }

    /// Returns the layout of the tape's state: parameters, running statistics and the optimizer's buffers.
    pub fn state(&self) -> &'a StateLayout {
        self.tape.state()
    }

    /// Returns the number of inputs.
    pub fn n_inputs(&self) -> usize {
        self.node.inputs.len()
    }

    /// Returns the number of outputs.
    pub fn n_outputs(&self) -> usize {
        self.node.outputs.len()
    }

    /// Returns the shape of the i-th input.
    pub fn input_shape(&self, i: usize) -> &'a [usize] {
        &self.input(i).shape
    }

    /// Returns the shape of the i-th output.
    pub fn output_shape(&self, i: usize) -> &'a [usize] {
        &self.output(i).shape
    }

    /// Returns the bytes of all inputs and outputs: the memory traffic if each value is moved once.
    pub fn bytes(&self) -> u64 {
        let values = self.node.inputs.iter().chain(&self.node.outputs);
        values.map(|&id| self.tape.value(id).bytes()).sum()
    }
}
