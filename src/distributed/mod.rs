//! Ranks: several processes, on one machine or many, that train one network together over MPI.
//!
//! | file | content |
//! |---|---|
//! | `world.rs` | [`World`]: all ranks of a run, and the operations between them |
//! | `launcher.rs` | [`Launcher`]: the program that started the ranks, read from the environment |
//! | `place.rs` | [`Place`]: the machine of a rank and the cores that the rank may use |
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

mod error;
#[cfg(feature = "mpi")]
mod failure;
mod items;
mod launcher;
mod meeting;
#[cfg(feature = "mpi")]
mod mpi;
#[cfg(not(feature = "mpi"))]
#[path = "no_mpi.rs"]
mod mpi;
mod place;
mod world;

pub use error::WorldError;
pub use launcher::Launcher;
pub use meeting::Traffic;
pub use place::Place;
pub use world::{RANK_TIMEOUT, World};
