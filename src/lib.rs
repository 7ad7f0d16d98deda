//! wgrad: hand-written WGSL shaders train a residual network, orchestrated by a small autograd tape.
//!
//! To read the code, start with [`tape`] (a training step as a list), then [`ops`] (what its nodes
//! compute), [`device`] (what runs them), [`nn`] (the network), [`optim`], [`data`], and [`train`],
//! which puts them together; [`profile`] says where its time goes, and
//! [`mod@bench`] how near that is to what the device could do. `docs/tour.md` follows one batch
//! through all of it.

#![deny(unsafe_code)] // Allowed in named modules that need it, each with its reasons.

pub mod base;
pub mod bench;
pub mod check;
pub mod data;
pub mod device;
pub mod error;
#[doc(hidden)]
pub mod fuzzing;
pub mod kernel;
pub mod nn;
pub mod ops;
pub mod passes;
pub mod profile;
pub mod report;
pub mod tape;
pub mod train;

pub use error::Error;
