//! The tape: one training step as a list of nodes.
//!
//! Running a model on a [`Tape`] computes nothing. It appends [`Node`]s, each an op with the values
//! it reads and makes. [`passes`](crate::passes) append the gradient's nodes to the same list, rewrite it, plan its
//! memory, print and draw it, and a device replays it. It is recorded once per shape, never once per step.
//!
//! Read on: [`value`], [`node`], then `record.rs`, `rewrite.rs`, [`op`] and [`mod@reference`], the contract of an op.

pub mod node;
pub mod op;
mod record;
pub mod reference;
mod rewrite;
pub mod state;
pub mod value;

pub use node::{Node, NodeIo, Phase};
pub use op::{Op, OutputSpec};
pub use record::{Mode, Tape};
pub use reference::{
    Args, DynReference, Reference, Runs, Scratch, ScratchSize, Slice, SliceMut, ThreadScratch,
};
pub use state::{Initializer, Layout, Member, StateLayout};
pub use value::{ElementType, Group, Storage, Value, ValueId};
