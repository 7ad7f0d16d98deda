//! wgrad: hand-written WGSL shaders train a residual network, orchestrated by a small autograd tape.
//!
//! The modules are layers. Each imports those above it in this list, which is the order to read them in:
//!
//! * [`base`]: charts, files, hashes, units;
//! * [`kernel`]: the vocabulary of a launch, the scalars of a step, host maths;
//! * [`tape`]: values and nodes, a training step as a list; the contract of an op;
//! * [`ops`]: the ops, each with its shape rule, backward rule, launches and reference;
//! * [`passes`]: differentiation, fusion, dead code, the plan of memory, listing and drawing;
//! * [`device`]: sessions that run a plan, on the CPU or through wgpu;
//! * [`nn`] and [`data`]: layers, the network, files of weights; data sets and batches;
//! * [`train`]: recipe, steps, loop, checkpoints, schedule;
//! * [`measure`]: checks against references, profiles and benchmarks;
//! * [`report`]: pages about runs.
//!
//! `docs/tour.md` follows one batch through all of it.

#![deny(unsafe_code)] // Allowed in named modules that need it, each with its reasons.

pub mod base;
pub mod data;
pub mod device;
pub mod error;
#[doc(hidden)]
pub mod fuzzing;
pub mod kernel;
pub mod measure;
pub mod nn;
pub mod ops;
pub mod passes;
pub mod report;
pub mod tape;
pub mod train;

pub use error::Error;
