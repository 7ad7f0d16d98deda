//! The progress of the run, as the dashboard shows it.

use std::time::Instant;

use wgrad::base::sorting::sort_by;
use wgrad::device::NodeTimes;
use wgrad::ops::metrics::Metrics;
use wgrad::tape::Tape;
use wgrad::train::EpochMetrics;
use wgrad::train::display::RunFacts;

/// The largest number of points of a curve. In a longer curve, each pair of neighbouring points is replaced by its
/// mean.
const MAX_POINTS: usize = 1024;

/// The stage of a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// Before the first step.
    Preparing,
    Training,
    Evaluating,
}

/// A point of the training curves: the steps between two readings of the metrics.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Point {
    /// Progress of training at this point, in epochs: 1.5 in the middle of the second epoch.
    pub at: f64,
    /// Mean loss of the images.
    pub loss: f64,
    /// Fraction of the images that were classified correctly, in 0..=1.
    pub accuracy: f64,
    /// Learning rate of the latest step.
    pub lr: f64,
}

/// The device time of all nodes of one op in a training step.
#[derive(Clone, PartialEq, Debug)]
pub struct OpTime {
    pub op: &'static str,
    pub seconds: f64,
}

/// The numbers that the dashboard shows.
pub struct State {
    pub facts: Option<RunFacts>,
    pub stage: Stage,
    /// True once the end of the run has been requested.
    pub stopping: bool,
    begun: Instant,
    /// Number of steps that this process has trained. A resumed run counts from 0.
    pub n_run: usize,
    /// Current epoch, from 0.
    pub epoch: usize,
    /// Number of finished steps of the current epoch.
    pub step: usize,
    epoch_begun: Instant,
    pub lr: f64,
    /// Training images per second, the mean over the epoch so far.
    pub images_per_s: f64,
    /// Longest time in which a rank has waited for the others, as a part of the epoch so far; None on one rank.
    pub waited_for_ranks: Option<f64>,
    /// Latest metrics, sums over the epoch so far; None before the epoch's first reading.
    pub metrics: Option<Metrics>,
    pub train: Vec<Point>,
    pub evaluations: Vec<EpochMetrics>,
    /// Times of the ops in the last timed step, the longest first.
    pub ops: Vec<OpTime>,
}

impl State {
    /// Returns the state before the run begins.
    pub fn new() -> Self {
        let now = Instant::now();
        Self {
            facts: None,
            stage: Stage::Preparing,
            stopping: false,
            begun: now,
            n_run: 0,
            epoch: 0,
            step: 0,
            epoch_begun: now,
            lr: 0.0,
            images_per_s: 0.0,
            waited_for_ranks: None,
            metrics: None,
            train: Vec::new(),
            evaluations: Vec::new(),
            ops: Vec::new(),
        }
    }

    pub fn begin(&mut self, facts: &RunFacts) {
        (self.facts, self.begun) = (Some(facts.clone()), Instant::now());
    }

    pub fn begin_epoch(&mut self, epoch: usize, n_done: usize) {
        (self.epoch, self.step, self.metrics) = (epoch, n_done, None);
        (self.stage, self.epoch_begun) = (Stage::Training, Instant::now());
    }

    pub fn step(&mut self, n_images: usize, lr: f64) {
        (self.n_run, self.step, self.lr) = (self.n_run + 1, self.step + 1, lr);
        self.images_per_s = n_images as f64 / self.epoch_begun.elapsed().as_secs_f64();
    }

    pub fn waited_for_ranks(&mut self, seconds: f64) {
        let part = seconds / self.epoch_begun.elapsed().as_secs_f64();
        self.waited_for_ranks = Some(part.min(1.0));
    }

    /// Adds a point to the training curves. The metrics are sums over the epoch. The point is the difference of two
    /// readings, divided by the number of images between them.
    pub fn metrics(&mut self, metrics: &Metrics) {
        let before = self.metrics.replace(*metrics).unwrap_or_default();
        let n_images = metrics.n_images - before.n_images;
        if n_images > 0.0 {
            let loss = (metrics.loss_sum - before.loss_sum) / n_images;
            let accuracy = (metrics.n_correct - before.n_correct) / n_images;
            self.train.push(Point { at: self.position(), loss, accuracy, lr: self.lr });
        }
        if self.train.len() > MAX_POINTS {
            self.train = self.train.chunks(2).map(merge).collect();
        }
    }

    pub fn begin_evaluation(&mut self) {
        self.stage = Stage::Evaluating;
    }

    pub fn epoch(&mut self, epoch: &EpochMetrics) {
        self.evaluations.push(*epoch);
    }

    pub fn times(&mut self, tape: &Tape, times: &NodeTimes) {
        self.ops.clear();
        for (node, &seconds) in tape.nodes().iter().zip(&times.seconds) {
            let op = node.op.name();
            match self.ops.iter_mut().find(|time| time.op == op) {
                Some(time) => time.seconds += seconds,
                None => self.ops.push(OpTime { op, seconds }),
            }
        }
        sort_by(&mut self.ops, |a, b| b.seconds.total_cmp(&a.seconds));
    }

    fn n_steps(&self) -> usize {
        self.facts.as_ref().map_or(1, |facts| facts.n_steps.max(1))
    }

    /// Returns the finished part of the epoch, in 0..=1.
    pub fn epoch_done(&self) -> f64 {
        (self.step as f64 / self.n_steps() as f64).min(1.0)
    }

    /// Returns the progress of training in epochs: 1.5 in the middle of the second epoch.
    pub fn position(&self) -> f64 {
        self.epoch as f64 + self.epoch_done()
    }

    /// Returns the finished part of the run, in 0..=1.
    pub fn done(&self) -> f64 {
        let n_epochs = self.facts.as_ref().map_or(1, |facts| facts.n_epochs.max(1));
        (self.position() / n_epochs as f64).min(1.0)
    }

    /// Returns the seconds since the run began.
    pub fn elapsed(&self) -> f64 {
        self.begun.elapsed().as_secs_f64()
    }

    /// Returns an estimate of the run's remaining seconds; None before the first step.
    pub fn left(&self) -> Option<f64> {
        let facts = self.facts.as_ref()?;
        let n_left =
            (facts.n_epochs * facts.n_steps).saturating_sub(self.epoch * facts.n_steps + self.step);
        // The elapsed time includes the evaluations of earlier epochs. The estimate thus includes evaluations, too.
        (self.n_run > 0).then(|| self.elapsed() / self.n_run as f64 * n_left as f64)
    }

    /// Returns the name of the images on which each epoch is evaluated.
    pub fn evaluated_on(&self) -> &'static str {
        self.facts.as_ref().map_or("test", |facts| facts.evaluated_on)
    }

    /// Returns the epoch with the best accuracy; the first of them if several epochs have the same accuracy.
    pub fn best(&self) -> Option<&EpochMetrics> {
        wgrad::train::metrics::best(&self.evaluations)
    }
}

/// Returns the mean of neighbouring points.
fn merge(points: &[Point]) -> Point {
    let mean = |of: fn(&Point) -> f64| points.iter().map(of).sum::<f64>() / points.len() as f64;
    Point {
        at: mean(|p| p.at),
        loss: mean(|p| p.loss),
        accuracy: mean(|p| p.accuracy),
        lr: mean(|p| p.lr),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metrics(loss_sum: f64, n_correct: f64, n_images: f64) -> Metrics {
        Metrics { loss_sum, n_correct, n_images, ..Metrics::default() }
    }

    #[test]
    fn a_point_is_the_difference_of_two_readings() {
        let mut state = State::new();
        let (device, memory, folder) = Default::default();
        let (n_epochs, n_steps, evaluated_on) = (4, 10, "test");
        state.begin(&RunFacts { device, memory, folder, n_epochs, n_steps, evaluated_on });
        state.begin_epoch(1, 0);
        (0..5).for_each(|_| state.step(100, 0.1));
        state.metrics(&metrics(200.0, 10.0, 100.0));
        state.metrics(&metrics(250.0, 60.0, 200.0));
        // Metrics that arrive a second time add no point.
        state.metrics(&metrics(250.0, 60.0, 200.0));
        let (at, lr) = (1.5, 0.1);
        let expected = [
            Point { at, loss: 2.0, accuracy: 0.1, lr },
            Point { at, loss: 0.5, accuracy: 0.5, lr },
        ];
        assert_eq!(state.train, expected);
        assert_eq!(state.done(), 0.375);
        // The metrics of a new epoch start from zero.
        state.begin_epoch(2, 0);
        state.metrics(&metrics(30.0, 90.0, 100.0));
        assert_eq!(state.train[2], Point { at: 2.0, loss: 0.3, accuracy: 0.9, lr });
    }

    #[test]
    fn neighbours_of_a_long_curve_are_merged() {
        let mut state = State::new();
        for n in 1..=5 * MAX_POINTS {
            state.metrics(&metrics(2.0 * n as f64, n as f64, n as f64));
        }
        assert!((MAX_POINTS / 2..=MAX_POINTS).contains(&state.train.len()));
        assert!(state.train.iter().all(|point| (point.loss - 2.0).abs() < 1e-9));
    }
}
