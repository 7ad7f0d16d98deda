//! What is told of a run while it goes, and who shows it.

use super::metrics::EpochMetrics;
use crate::device::NodeTimes;
use crate::ops::metrics::Metrics;
use crate::tape::Tape;

/// What does not change during a run, told before its first step.
#[derive(Clone, PartialEq, Debug)]
pub struct RunFacts {
    /// What the device is called.
    pub device: String,
    /// What the state and both steps need on it: `57.0 MiB`.
    pub memory: String,
    /// The folder that the run leaves.
    pub folder: String,
    /// The epochs of the whole run.
    pub n_epochs: usize,
    /// The steps of an epoch.
    pub n_steps: usize,
}

/// Shows a run as it goes: a bar, a line now and then, or a dashboard.
///
/// The calls come in the order of the methods here. None of them may fail or wait: a display that has
/// lost its reader is silent, and training goes on.
pub trait Display {
    /// The steps are compiled, and the first epoch is about to begin.
    fn begin(&mut self, facts: &RunFacts);

    /// An epoch, from 0, begins; or goes on behind `n_done` of its steps, when a run is resumed.
    fn begin_epoch(&mut self, epoch: usize, n_done: usize);

    /// Whether the next step is to be timed node by node, for [`Display::times`].
    fn wants_times(&mut self) -> bool {
        false
    }

    /// What each node of that step, as it is on the tape, took.
    fn times(&mut self, _tape: &Tape, _times: &NodeTimes) {}

    /// A step was started, and this call's epoch has come to `n_images` since it began or went on.
    /// Returns whether new metrics are wanted.
    fn step(&mut self, n_images: usize, lr: f64) -> bool;

    /// Metrics of the epoch so far arrived.
    fn metrics(&mut self, metrics: &Metrics);

    /// The epoch's steps are done, and the test images come.
    fn begin_evaluation(&mut self);

    /// The epoch is over, or broken off: what is printed next stands in the place of its progress.
    fn end_epoch(&mut self);

    /// What an epoch came to; also those before, when a run is resumed, before [`Display::begin_epoch`].
    fn epoch(&mut self, _epoch: &EpochMetrics) {}
}
