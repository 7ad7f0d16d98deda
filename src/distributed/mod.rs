//! The shards of a step, and the ranks that share them: several processes, on one machine or many, that train one network
//! together over MPI.
//!
//! | file | content |
//! |---|---|
//! | `tree.rs` | the order in which the results of a step's shards are added |
//! | `reduce.rs` | [`Reduction`]: the sum over the shards of all ranks, with the bits of one rank |
//! | `ranks.rs` | [`Ranks`]: the operations between ranks that training needs |
//! | `world.rs` | [`World`]: all ranks of a run, and the operations between them |
//! | `launcher.rs` | [`Launcher`]: the program that started the ranks, read from the environment |
//! | `place.rs` | the machine of a rank and the cores that the rank may use |
//! | `neighbours.rs` | the processes of the other ranks of a machine: a rank that is killed ends the others |
//! | `meeting.rs` | the beginning of an operation, in which every rank takes part; [`Traffic`] |
//! | `items.rs` | the comparison of values that must be equal on all ranks |
//! | `failure.rs` | the end of all ranks after a failure of one |
//! | `error.rs` | [`WorldError`], and the exit code of failures |
//! | `mpi.rs` | messages through MPI; `no_mpi.rs` takes its place without the feature `mpi` |
//!
//! A program without the feature `mpi`, or one that no launcher started, has a world of one rank. Every operation then
//! returns at once.
//!
//! An operation involves all ranks: each rank must call the same operations in the same order. The ranks compare the kind,
//! the number and the lengths of an operation before they move data. An operation does not return an error: a difference,
//! an error of MPI or a rank that does not answer in time ends all ranks.

mod ranks;
mod reduce;
pub mod tree;

#[cfg(feature = "runs")]
mod error;
#[cfg(feature = "mpi")]
mod failure;
#[cfg(feature = "runs")]
mod items;
#[cfg(feature = "runs")]
mod launcher;
#[cfg(feature = "runs")]
mod meeting;
#[cfg(feature = "mpi")]
mod mpi;
#[cfg(all(feature = "runs", not(feature = "mpi")))]
#[path = "no_mpi.rs"]
mod mpi;
#[cfg(feature = "runs")]
mod neighbours;
#[cfg(feature = "runs")]
mod place;
#[cfg(feature = "runs")]
mod world;

pub use ranks::Ranks;
pub use reduce::{Reduction, Sums, part};

#[cfg(feature = "runs")]
pub use self::{
    error::WorldError,
    launcher::Launcher,
    meeting::Traffic,
    world::{RANK_TIMEOUT, World},
};
