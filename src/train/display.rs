//! The interface between a run and the part of the program that shows its progress.

use super::metrics::EpochMetrics;
use crate::device::NodeTimes;
use crate::ops::metrics::Metrics;
use crate::tape::Tape;

/// The facts that do not change during a run.
#[derive(Clone, PartialEq, Debug)]
pub struct RunFacts {
    /// The name of the device.
    pub device: String,
    /// The memory of the state and of all steps on the device, as text: `57.0 MiB`.
    pub memory: String,
    /// The path of the run folder.
    pub folder: String,
    /// The number of epochs in the run.
    pub n_epochs: usize,
    /// The number of steps in an epoch.
    pub n_steps: usize,
    /// The name of the images on which each epoch is evaluated: `validation` or `test`.
    pub evaluated_on: &'static str,
}

/// Shows nothing.
#[derive(Clone, Copy, Default, Debug)]
pub struct Silent;

impl Display for Silent {
    fn begin(&mut self, _: &RunFacts) {}
    fn begin_epoch(&mut self, _: usize, _: usize) {}
    fn step(&mut self, _: usize, _: f64) -> bool {
        false
    }
    fn metrics(&mut self, _: &Metrics) {}
    fn begin_evaluation(&mut self) {}
    fn end_epoch(&mut self) {}
}

/// Shows the progress of a run: as a bar, as lines, or on a dashboard.
///
/// The run calls the methods in the order below. A method must not fail or wait, since training must not depend on the
/// display.
pub trait Display {
    /// Begins the display of a run. The run calls this method after it has compiled its steps, and before its first
    /// step.
    fn begin(&mut self, facts: &RunFacts);

    /// Begins an epoch, counted from 0. `n_done` is the number of the epoch's steps that ran before a resume.
    fn begin_epoch(&mut self, epoch: usize, n_done: usize);

    /// Returns whether the run should time every node of the next step, and pass the times to [`Display::times`].
    fn wants_times(&mut self) -> bool {
        false
    }

    /// Shows the times of the nodes of the step that was timed. `tape` is the recorded step.
    fn times(&mut self, _tape: &Tape, _times: &NodeTimes) {}

    /// Counts a step that was started at the learning rate `lr`. `n_images` is the number of images since
    /// [`Display::begin_epoch`]. Returns whether the run should request new metrics.
    fn step(&mut self, n_images: usize, lr: f64) -> bool;

    /// Shows the longest time in which a rank has waited for the others since [`Display::begin_epoch`], in seconds. A run
    /// on several ranks calls it after each step.
    fn waited_for_ranks(&mut self, _seconds: f64) {}

    /// Shows the metrics of the epoch so far.
    fn metrics(&mut self, metrics: &Metrics);

    /// Begins the evaluation after the steps of an epoch.
    fn begin_evaluation(&mut self);

    /// Ends the display of an epoch, also of an interrupted one. Clears the progress from the terminal, since the run
    /// prints lines next.
    fn end_epoch(&mut self);

    /// Shows the results of an epoch. A resumed run first passes its earlier epochs, before [`Display::begin_epoch`].
    fn epoch(&mut self, _epoch: &EpochMetrics) {}
}
