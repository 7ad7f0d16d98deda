//! The tape: one training step as a list of nodes.
//!
//! Recording a model on a [`Tape`] computes nothing. It appends [`Node`]s; each node is an op with the values that it
//! reads and computes. [`passes`](crate::passes) append the nodes of the gradients to the same list, rewrite the list,
//! plan its memory, print it and draw it. A device then replays the list. A tape is recorded once per shape, not once
//! per step.
//!
//! Reading order: [`value`], [`node`], `record.rs`, `members.rs`, `rewrite.rs`, then the contract of an op in [`op`]
//! and [`mod@reference`].

mod members;
pub mod node;
pub mod op;
pub mod prefixes;
mod record;
pub mod reference;
mod rewrite;
pub mod state;
pub mod value;

pub use node::{Node, NodeIo, Phase};
pub use op::{Op, OutputSpec};
pub use prefixes::Prefixes;
pub use record::{Mode, Tape};
pub use reference::{
    Args, ErasedReference, Precision, Reference, Scratch, ScratchSize, Slice, SliceMut,
    ThreadScratch, Transform, TransformSize,
};
pub use rewrite::Rewriter;
pub use state::{Initializer, Layout, StateEntry, StateLayout};
pub use value::{ElementType, StateBuffer, Storage, Value, ValueId};
