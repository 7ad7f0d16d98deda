//! The tape: one training step as a list of nodes.
//!
//! Running a model on a [`Tape`] computes nothing. It appends [`Node`]s, each an op with the values
//! it reads and makes. [`Tape::backward`] appends the gradient's nodes to the same list, and the
//! optimizer appends its own, so that a whole step is one list that can be printed
//! ([`mod@print`]), drawn ([`svg`]), rewritten ([`fuse`]), planned ([`plan`]) and replayed by a
//! [`Session`](crate::device::Session). It is recorded once per shape, never once per step.
//!
//! Read on: [`value`], [`node`], then [`record`](self) in `record.rs`, [`backward`], [`plan`].

pub mod backward;
pub mod fuse;
pub mod node;
pub mod op;
pub mod plan;
pub mod print;
mod record;
pub mod reference;
pub mod state;
pub mod svg;
pub mod value;

pub use backward::Gradients;
pub use node::{Node, NodeIo, Phase};
pub use op::{Op, OutputSpec};
pub use plan::{Plan, PlanOptions, Tiles};
pub use record::{Mode, Tape};
pub use reference::{
    Args, DynReference, Reference, Runs, Scratch, ScratchSize, Slice, SliceMut, ThreadScratch,
};
pub use state::{Initializer, Layout, Member, StateLayout};
pub use value::{ElementType, Group, Storage, Value, ValueId};
