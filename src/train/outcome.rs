//! The end of a run, and its results.

use super::metrics::{EpochMetrics, best};

/// The way in which a run ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    /// The run ended after its last epoch.
    Finished,
    /// The run ended after an earlier epoch, because the evaluation had not improved for as many epochs as the recipe's
    /// patience.
    OutOfPatience,
    /// The run ended early, because [`Job::stop`](super::Job::stop) was true.
    Interrupted,
}

/// The results of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The way in which the run ended.
    pub ended: Ended,
    /// The epochs that were trained and evaluated.
    pub epochs: Vec<EpochMetrics>,
    /// Loss and accuracy over the test images at the end; none if the run was interrupted before that evaluation.
    pub test: Option<(f64, f64)>,
    /// The time from the first step to the end, in seconds. Evaluation counts. The pause before a resume does not
    /// count.
    pub seconds: f64,
}

impl Outcome {
    /// Returns the epoch with the best evaluation; none if no epoch has been evaluated.
    pub fn best(&self) -> Option<&EpochMetrics> {
        best(&self.epochs)
    }
}
