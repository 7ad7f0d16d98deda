//! Errors of settings and of steps.

use std::path::PathBuf;

use crate::base::shown::Shown;
use crate::base::units::readable_bytes;
use crate::data::HeldOut;

/// A setting that is not valid. The error is returned before the run starts.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file of settings is not TOML, has an unknown key, or a value of a wrong kind.
    #[error("{}: {reason}", path.shown())]
    File {
        /// Path of the file.
        path: PathBuf,
        /// Place in the file, and the problem there.
        reason: String,
    },
    /// A setting is out of its range.
    #[error("{setting} {value}: the value must {must}")]
    Value {
        /// Key of the setting.
        setting: &'static str,
        /// Value of the setting.
        value: String,
        /// Range of the setting, as the words after "must".
        must: String,
    },
    /// A setting of one schedule or optimizer, with another one.
    #[error(
        "{setting}: a setting of {owner} {needed}, but {owner} is {given}; leave it out or change {owner}"
    )]
    Restricted {
        /// Key of the setting.
        setting: &'static str,
        /// Key of the setting on which it depends.
        owner: &'static str,
        /// Value of that setting.
        given: &'static str,
        /// Value that the setting needs.
        needed: &'static str,
    },
    /// The training images do not fill one batch.
    #[error(
        "batch-size {batch_size}: the dataset has {n_images} training images; choose at most {n_images}"
    )]
    FewerThanABatch {
        /// Number of training images.
        n_images: usize,
        /// Number of images in a batch.
        batch_size: usize,
    },
    /// The validation images would leave no training images.
    #[error("validation {validation}: the dataset has {n_images} training images; choose fewer")]
    Validation {
        /// Number of validation images in the settings.
        validation: HeldOut,
        /// Number of training images.
        n_images: usize,
    },
    /// The first learning rate of a sweep is not above 0, or not below the last one.
    #[error(
        "sweep from {start} to {end}: the first learning rate must be above 0 and below the last one"
    )]
    Range {
        /// First learning rate.
        start: f64,
        /// Last learning rate.
        end: f64,
    },
}

/// The error of a step: a NaN or infinite result, or too many features.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// The network's output is not finite.
    #[error(
        "the network's output for image {image} (counted from 0) is {value}: no class can be read from it"
    )]
    LogitsNotFinite {
        /// Number of the image in its split, from 0.
        image: usize,
        /// First logit of the image that is not finite.
        value: f32,
    },
    /// The features of all images do not fit into the memory.
    #[error(
        "cache-features: the features of {n_images} images take {}, and this machine has {} of memory free; \
         freeze more layers, or leave cache-features out",
        readable_bytes(*.bytes), readable_bytes(*.free)
    )]
    Features {
        /// Number of images.
        n_images: usize,
        /// Number of bytes of their features.
        bytes: u64,
        /// Number of free bytes.
        free: u64,
    },
    /// A loss or a gradient is not finite.
    #[error(
        "step {step} or shortly before (epoch {epoch}): the loss or a gradient was not finite; \
         the state from before that step was kept"
    )]
    NotFinite {
        /// Epoch, from 1.
        epoch: usize,
        /// Latest step that may have caused the error, counted from 1 over the whole run. An earlier step is possible,
        /// since the metrics are read some steps late.
        step: usize,
    },
}
