//! Errors of runs.

use std::path::PathBuf;

use crate::base::shown::Shown;
use crate::train::difference::Difference;
use crate::train::lr_find::NoSlope;

/// The reason why a run cannot begin, continue or finish.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The path is not the path of a run folder.
    #[error("{} {problem}", path.shown())]
    NoRun {
        /// Path that the user gave.
        path: PathBuf,
        /// Problem, as the rest of a sentence whose subject is the path.
        problem: String,
    },
    /// The path of a new run is a file, or a folder that is not empty.
    #[error("{} {problem}; a run is never overwritten", path.shown())]
    Occupied {
        /// Path of the new run.
        path: PathBuf,
        /// Problem, as the rest of a sentence whose subject is the path.
        problem: &'static str,
    },
    /// Another process holds the lock of the folder.
    #[error("{}: another process is training in this folder", path.shown())]
    Busy {
        /// Path of the folder.
        path: PathBuf,
    },
    /// A file of a run is damaged.
    #[error("{}: {reason}", path.shown())]
    Damaged {
        /// Path of the file.
        path: PathBuf,
        /// Problem with the file.
        reason: String,
    },
    /// A checkpoint is damaged, or is of another network.
    #[error("{}: {reason}", path.shown())]
    Checkpoint {
        /// Path of the file.
        path: PathBuf,
        /// Problem with the file.
        reason: String,
    },
    /// A file has no step to replay.
    #[error("{}: {reason}", path.shown())]
    Replay {
        /// Path of the file.
        path: PathBuf,
        /// Problem with the file.
        reason: String,
    },
    /// A run cannot be resumed.
    #[error("{} cannot be resumed: {cause}", folder.shown())]
    Resume {
        /// Path of the run folder.
        folder: PathBuf,
        /// Reason why the run cannot be resumed.
        cause: NotResumed,
    },
    /// The training data of the weights were not found, or the data have another number of classes than the network.
    #[error("{}: {reason}", weights.shown())]
    TrainingData {
        /// Path of the file of weights.
        weights: PathBuf,
        /// Problem with the data.
        reason: String,
    },
    /// The weights to start from are not those that the settings name.
    #[error("{}: its SHA-256 is {found}, but the settings have {expected}", path.shown())]
    OtherWeights {
        /// Path of the file.
        path: PathBuf,
        /// SHA-256 of the file.
        found: String,
        /// SHA-256 in the settings.
        expected: String,
    },
    /// A loss or a gradient is not finite. The step was run again to find the first such value.
    #[error(
        "step {step} (epoch {epoch}) was not finite; the state from before that step was kept; {first}"
    )]
    NotFiniteAt {
        /// Epoch, from 1.
        epoch: usize,
        /// Step over the whole run, from 1.
        step: usize,
        /// Sentence that names the first value that is not finite.
        first: String,
        /// Path of the file that [`Replay`](crate::train::replay::Replay) reads.
        file: PathBuf,
    },
    /// The loss of an evaluation is not finite.
    #[error(
        "evaluation after epoch {epoch}: the loss is not finite, since the weights have grown too large"
    )]
    EvaluationNotFinite {
        /// Epoch, from 1.
        epoch: usize,
    },
    /// Every step of an epoch was skipped.
    #[error("epoch {epoch}: every step was skipped, since a gradient was not finite")]
    NoFiniteStep {
        /// Epoch, from 1.
        epoch: usize,
    },
    /// The loss before the first update of a sweep over learning rates is not finite.
    #[error("sweep: the loss is not finite before the first update")]
    NothingToSweep,
    /// The curve of a sweep suggests no learning rate.
    #[error("no learning rate is found from {start:e} to {end:e}: {why}")]
    NoRate {
        /// First learning rate.
        start: f64,
        /// Last learning rate.
        end: f64,
        /// Reason why the curve suggests no learning rate.
        why: NoSlope,
    },
}

/// The reason why a run cannot be resumed.
#[derive(Debug, thiserror::Error)]
pub enum NotResumed {
    /// The folder has results, but no checkpoint.
    #[error("it has no checkpoint, but results: {}", results.join(", "))]
    NoCheckpoint {
        /// Names of the result files.
        results: Vec<&'static str>,
    },
    /// Settings have changed since the run began.
    #[error("{}", list(.0))]
    Settings(Vec<Difference>),
    /// The images have changed since the run began.
    #[error("the images are not those that the run began with{}; found: {found}", after_colon(.changes))]
    Images {
        /// Pictures that were added, removed or changed, in words; none if they are unknown.
        changes: Option<String>,
        /// Description of the images that were found.
        found: String,
    },
}

/// Returns a text behind a colon, if there is one.
fn after_colon(text: &Option<String>) -> String {
    text.as_ref().map_or(String::new(), |text| format!(": {text}"))
}

/// Returns the differences, separated by semicolons.
fn list(differences: &[Difference]) -> String {
    differences.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
