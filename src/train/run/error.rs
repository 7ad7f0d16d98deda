//! Failures of runs.

use std::path::PathBuf;

use crate::base::shown::Shown;
use crate::train::difference::Difference;
use crate::train::lr_find::NoSlope;

/// A run that cannot begin, go on, or come to its end.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The path leads to no run.
    #[error("{} {problem}", path.shown())]
    NoRun {
        /// Path that was named.
        path: PathBuf,
        /// What is there instead, as the rest of the sentence.
        problem: String,
    },
    /// The folder of a new run has something in it.
    #[error("{} {problem}; a run is never overwritten", path.shown())]
    Occupied {
        /// Path of the folder.
        path: PathBuf,
        /// What is in it, as the rest of the sentence.
        problem: &'static str,
    },
    /// Another process holds the lock of the folder.
    #[error("another process is training in {}", path.shown())]
    Busy {
        /// Path of the folder.
        path: PathBuf,
    },
    /// A file of a run is damaged.
    #[error("{}: {reason}", path.shown())]
    Damaged {
        /// Path of the file.
        path: PathBuf,
        /// Fault of the file.
        reason: String,
    },
    /// A checkpoint is damaged, or is of another network.
    #[error("{}: {reason}", path.shown())]
    Checkpoint {
        /// Path of the file.
        path: PathBuf,
        /// Fault of the file.
        reason: String,
    },
    /// A file holds no step to run again.
    #[error("{}: {reason}", path.shown())]
    Replay {
        /// Path of the file.
        path: PathBuf,
        /// Fault of the file.
        reason: String,
    },
    /// A run cannot go on from where it was.
    #[error("{} cannot be resumed: {cause}", folder.shown())]
    Resume {
        /// Path of the run folder.
        folder: PathBuf,
        /// Cause.
        cause: NotResumed,
    },
    /// The data that weights were trained on is not found, or has other classes.
    #[error("{}: {reason}", weights.shown())]
    TrainingData {
        /// Path of the file of weights.
        weights: PathBuf,
        /// What is missing, or differs.
        reason: String,
    },
    /// The weights to start from are not those that the settings name.
    #[error("{}: its SHA-256 is {found}, and the settings say {expected}", path.shown())]
    OtherWeights {
        /// Path of the file.
        path: PathBuf,
        /// SHA-256 of the file.
        found: String,
        /// SHA-256 in the settings.
        expected: String,
    },
    /// A loss or a gradient is not finite, and the step was run again.
    #[error("step {step} (epoch {epoch}) was not finite; the state before it was kept; {first}")]
    NotFiniteAt {
        /// Epoch, from 1.
        epoch: usize,
        /// Step over the whole run, from 1.
        step: usize,
        /// First value that is not finite, as a sentence.
        first: String,
        /// Path of the file that [`Replay`](super::replay::Replay) reads.
        file: PathBuf,
    },
    /// The loss of an evaluation is not finite.
    #[error(
        "the loss of the evaluation is not finite after epoch {epoch}: the weights have grown too large"
    )]
    EvaluationNotFinite {
        /// Epoch, from 1.
        epoch: usize,
    },
    /// Every step of an epoch was skipped.
    #[error("no step of epoch {epoch} was finite, so there is nothing to go on with")]
    NoFiniteStep {
        /// Epoch, from 1.
        epoch: usize,
    },
    /// The loss before a sweep's first update is not finite.
    #[error("the loss is not finite before the first update: there is nothing to sweep")]
    NothingToSweep,
    /// The curve of a sweep suggests no learning rate.
    #[error("no learning rate is found from {start:e} to {end:e}: {why}")]
    NoRate {
        /// First learning rate.
        start: f64,
        /// Last learning rate.
        end: f64,
        /// Reason.
        why: NoSlope,
    },
}

/// The reason why a run cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum NotResumed {
    /// The checkpoints are gone, and results are there.
    #[error("it has no checkpoint to go on from, and results: {}", results.join(", "))]
    NoCheckpoint {
        /// Names of the files.
        results: Vec<&'static str>,
    },
    /// Settings are not as they were.
    #[error("{}", list(.0))]
    Settings(Vec<Difference>),
    /// The images are not as they were.
    #[error("the images are not those that it began with ({found})")]
    Images {
        /// Description of the images that were found.
        found: String,
    },
}

fn list(differences: &[Difference]) -> String {
    differences.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
