//! wgrad trains a residual network with hand-written WGSL shaders and a small autograd tape.
//!
//! The modules are layers. A module imports only the modules above it in this list. Read them in this order:
//!
//! * [`base`]: charts, files, hashes, units;
//! * [`kernel`]: the vocabulary of a launch, the scalars of a step, host maths;
//! * [`tape`]: values and nodes, a training step as a list; the contract of an op;
//! * [`ops`]: the ops, each with its shape rule, backward rule, launches and reference;
//! * [`passes`]: differentiation, fusion, dead code, the plan of memory, listing and drawing;
//! * [`device`]: sessions that run a plan, on the CPU or through wgpu;
//! * [`nn`] and [`data`]: layers, the network, files of weights; data sets and batches;
//! * [`distributed`]: the shards of a step, and the ranks that share them;
//! * [`train`]: recipe, steps, loop, checkpoints, schedule;
//! * [`measure`]: checks against references, profiles and benchmarks;
//! * [`report`]: pages about runs.
//!
//! `docs/tour.md` follows one batch through the modules.
//!
//! Without the feature `runs`, the library has no [`measure`], no [`report`] and no [`distributed::World`], and
//! [`train`] has no training loop: only the steps, [`train::Trainer`] and [`train::Model`]. The library then uses no
//! file, thread, clock or terminal, and compiles for a browser.

#![deny(unsafe_code)] // A module that needs unsafe code allows it, and states the reason.

pub mod base;
pub mod data;
pub mod device;
pub mod distributed;
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

/// An error of any layer that the user of a program can cause or encounter, such as a missing file. A mistake in the
/// program itself, such as shapes that do not fit, panics instead.
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
    /// A network cannot be written as an ONNX file.
    #[error(transparent)]
    #[cfg(feature = "runs")]
    Onnx(#[from] nn::onnx::OnnxError),
    /// A dataset cannot be used.
    #[error(transparent)]
    Data(#[from] data::LoadError),
    /// A dataset cannot be downloaded.
    #[error(transparent)]
    #[cfg(feature = "fetch")]
    Fetch(#[from] data::fetch::FetchError),
    /// A picture cannot be read.
    #[error(transparent)]
    #[cfg(feature = "runs")]
    Image(#[from] data::image_file::ImageFileError),
    /// A setting is not valid. The error is returned before a run computes or writes anything.
    #[error(transparent)]
    Config(#[from] train::ConfigError),
    /// A loss, gradient or logit of a step is not finite.
    #[error(transparent)]
    Step(#[from] train::StepError),
    /// A run cannot begin, continue or finish.
    #[error(transparent)]
    #[cfg(feature = "runs")]
    Train(#[from] train::TrainError),
    /// The world of ranks cannot begin.
    #[error(transparent)]
    #[cfg(feature = "runs")]
    World(#[from] distributed::WorldError),
    /// A new measurement cannot be compared with an earlier one.
    #[error(transparent)]
    #[cfg(feature = "runs")]
    Measure(#[from] measure::MeasureError),
}
