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
//!
//! Without the feature `runs` the library ends at [`train::Model`], needs no file, thread, clock or terminal, and compiles
//! for a browser: [`measure`], [`report`] and the files of [`train`] that surround the loop are left out.

#![deny(unsafe_code)] // Allowed in named modules that need it, each with its reasons.

pub mod base;
pub mod data;
pub mod device;
pub mod kernel;
#[cfg(feature = "runs")]
pub mod measure;
pub mod nn;
pub mod ops;
pub mod passes;
#[cfg(feature = "runs")]
pub mod report;
pub mod tape;
pub mod train;

/// A failure that a user can cause or meet, of any layer. A programmer's error (shapes that do not fit) panics
/// instead.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder cannot be read or written.
    #[error(transparent)]
    File(#[from] base::files::FileError),
    /// A device is not found, or fails.
    #[error(transparent)]
    Device(#[from] device::DeviceError),
    /// A file of weights cannot be used.
    #[error(transparent)]
    Weights(#[from] nn::WeightsError),
    /// A dataset cannot be used.
    #[error(transparent)]
    Data(#[from] data::DataError),
    /// A dataset cannot be downloaded.
    #[error(transparent)]
    #[cfg(feature = "fetch")]
    Fetch(#[from] data::fetch::FetchError),
    /// A picture cannot be read.
    #[error(transparent)]
    #[cfg(feature = "runs")]
    Image(#[from] data::image_file::ImageFileError),
    /// A setting makes no sense: a wrong use, found before anything is done.
    #[error(transparent)]
    Config(#[from] train::ConfigError),
    /// Numbers of a step are not finite.
    #[error(transparent)]
    Step(#[from] train::StepError),
    /// A run cannot begin, go on, or come to its end.
    #[error(transparent)]
    #[cfg(feature = "runs")]
    Train(#[from] train::TrainError),
    /// An earlier measurement cannot be compared with.
    #[error(transparent)]
    #[cfg(feature = "runs")]
    Measure(#[from] measure::MeasureError),
}
