//! The number of operations and bytes of a node, for listings, drawings, profiles and benchmarks.

use std::iter::Sum;
use std::ops::Add;

use serde::{Deserialize, Serialize};

use crate::tape::{Node, Tape};

/// The number of operations and bytes of one node, or of several nodes.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Work {
    /// Number of additions and multiplications of real numbers in the formulas of the nodes' ops.
    pub flops: u64,
    /// Number of bytes that are read and written if every value is read or written once per node.
    pub bytes: u64,
}

impl Work {
    /// Returns the work of a node.
    pub fn of(tape: &Tape, node: &Node) -> Self {
        let io = tape.io(node);
        Self { flops: node.op.flops(&io), bytes: io.bytes() }
    }

    /// Returns the work of all nodes for which `is_counted` returns true.
    pub fn sum_of(tape: &Tape, is_counted: impl Fn(&Node) -> bool) -> Self {
        let nodes = tape.nodes().iter().filter(|node| is_counted(node));
        nodes.map(|node| Self::of(tape, node)).sum()
    }

    /// Returns the work of all runs of all nodes in a training step; see [`Tape::n_runs`].
    pub fn of_step(tape: &Tape) -> Self {
        tape.nodes().iter().map(|node| Self::of(tape, node).times(tape.n_runs(node))).sum()
    }

    /// Returns the work of `n` runs.
    pub fn times(self, n: usize) -> Self {
        Self { flops: self.flops * n as u64, bytes: self.bytes * n as u64 }
    }

    /// Returns the arithmetic intensity, in operations per byte.
    pub fn intensity(self) -> f64 {
        self.flops as f64 / self.bytes.max(1) as f64
    }
}

impl Add for Work {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { flops: self.flops + other.flops, bytes: self.bytes + other.bytes }
    }
}

impl Sum for Work {
    fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
        parts.fold(Self::default(), Add::add)
    }
}
