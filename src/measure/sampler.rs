//! The sampler times training steps in two ways: a single step in which each node is timed, or a row of steps by the
//! host's clock. A row is a number of ordinary steps without a wait between them.
//!
//! All times of profiles, benchmarks, the grid of `wgrad bench scaling` and the layer times of a run come from this
//! module.

use std::rc::Rc;
use std::thread;
use std::time::Instant;

use crate::Error;
use crate::data::batches;
use crate::data::{Split, shapes};
use crate::device::{Clock, Device, NodeTimes, Peaks};
use crate::distributed::Ranks;
use crate::tape::Tape;
use crate::train::feed::Feed;
use crate::train::recipe::SHAPES_SEED;
use crate::train::step::StepConfig;
use crate::train::{ReductionTimes, Trainer};

/// Number of warm-up steps. In these steps, the device loads the kernels, memory pages are touched for the first time,
/// and clock rates rise.
const WARM_UP_STEPS: usize = 2;

/// Duration of a step, in seconds, from which one warm-up step is enough.
const LONG_STEP: f64 = 10.0;

/// Duration of a row of steps, in seconds. It is long compared with the wait for the device at the end of the row.
const ROW_SECONDS: f64 = 0.25;

/// Largest number of steps in one row. A row is a number of steps without a wait between them.
const LONGEST_ROW: usize = 64;

/// Learning rate. With 0, the weights do not change, so they stay finite. The time of a step does not depend on the
/// values of the weights.
const LR: f64 = 0.0;

/// The effort of a measurement: its number of repetitions.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Effort {
    /// Number of repetitions; with None, `seconds` and `bounds` determine it.
    pub n: Option<usize>,
    /// Time for all repetitions, in seconds.
    pub seconds: f64,
    /// Smallest and largest number of repetitions.
    pub bounds: [usize; 2],
}

impl Effort {
    /// Calls `measure` as often as the effort allows, and returns all results. Returns None if `stop` returned true
    /// before a call. If ranks share the work, the time of the first rank decides, and `stop` must return the same on all.
    ///
    /// # Errors
    /// If `measure` fails.
    pub fn repeat<T>(
        &self,
        ranks: Option<&dyn Ranks>,
        stop: &dyn Fn() -> bool,
        mut measure: impl FnMut() -> Result<T, Error>,
    ) -> Result<Option<Vec<T>>, Error> {
        let begun = Instant::now();
        let mut done = Vec::new();
        while !self.is_enough(done.len(), of_first(ranks, begun.elapsed().as_secs_f64())) {
            if stop() {
                return Ok(None);
            }
            done.push(measure()?);
        }
        Ok(Some(done))
    }

    /// Returns true if `n` repetitions, which took `seconds` together, are enough: their number is reached, or one more
    /// repetition would exceed the time.
    fn is_enough(&self, n: usize, seconds: f64) -> bool {
        let [least, largest] = self.bounds;
        match self.n {
            Some(wanted) => n >= wanted,
            None => n >= largest || n >= least && seconds + seconds / n as f64 > self.seconds,
        }
    }
}

/// Returns the time of the first rank, by which all ranks decide alike. Without ranks, the time itself.
fn of_first(ranks: Option<&dyn Ranks>, seconds: f64) -> f64 {
    ranks.map_or(seconds, |ranks| ranks.of_first(seconds))
}

/// The images on which steps are timed.
#[derive(Clone, Copy)]
pub enum Timed<'a> {
    /// Built-in images, as many as a batch has.
    BuiltIn,
    /// The training images of a dataset, shuffled. There are enough for a batch.
    Of(&'a Split),
}

/// The mean times of the steps of a row, in seconds by the host's clock.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Row {
    /// Time of a step.
    pub step: f64,
    /// Part of this time in which a step waited for its images.
    pub wait: f64,
}

/// A trainer, and the one batch on which it trains repeatedly.
pub struct Sampler<'a> {
    trainer: &'a mut Trainer,
    split: &'a Split,
    images: &'a [u32],
}

impl<'a> Sampler<'a> {
    /// Returns a sampler for one whole batch: the images of `split` with the indices `images`.
    pub fn new(trainer: &'a mut Trainer, split: &'a Split, images: &'a [u32]) -> Self {
        Self { trainer, split, images }
    }

    /// Runs one step in which every node is timed, and returns the times of the nodes.
    ///
    /// # Errors
    /// If the device fails.
    pub fn nodes(&mut self) -> Result<NodeTimes, Error> {
        self.trainer.timed_step(self.split, self.images, 0, LR)
    }

    /// Runs one row: `n_steps` ordinary steps on the batches of a feed, without a wait for the device between them. The
    /// host prepares one step while the device runs another.
    ///
    /// # Errors
    /// If the device fails.
    pub fn row(&mut self, n_steps: usize, feed: &mut Feed) -> Result<Row, Error> {
        let (begun, waited) = (Instant::now(), feed.waited());
        for _ in 0..n_steps {
            self.trainer.step_from(feed, 0, LR)?;
        }
        self.trainer.state.session.wait()?;
        let n_steps = n_steps as f64;
        let step = begun.elapsed().as_secs_f64() / n_steps;
        Ok(Row { step, wait: (feed.waited() - waited) / n_steps })
    }

    /// Runs the warm-up steps. Returns the number of steps for each call of [`Sampler::row`], which is equal on all ranks.
    /// The number is at least 2, because host and device then work at the same time. If a step takes a second or more,
    /// the number is 1, because this overlap then saves little.
    ///
    /// # Errors
    /// If the device fails.
    pub fn warm_up(&mut self, feed: &mut Feed) -> Result<usize, Error> {
        let ranks = self.trainer.ranks().cloned();
        let mut one_step = || Ok::<_, Error>(of_first(ranks.as_deref(), self.row(1, feed)?.step));
        let mut seconds = one_step()?;
        for _ in 1..WARM_UP_STEPS {
            if seconds < LONG_STEP {
                seconds = one_step()?;
            }
        }
        let least = if seconds < 1.0 { 2 } else { 1 };
        Ok(((ROW_SECONDS / seconds) as usize).clamp(least, LONGEST_ROW))
    }
}

/// Times training steps on built-in images; each repetition is a row of steps. Returns the mean time of a step for each
/// row, in seconds by the host's clock. Returns None if `stop` returned true.
///
/// # Errors
/// If the step exceeds a limit of the device, or the device fails.
pub fn time_rows(
    device: &Device,
    config: &StepConfig,
    effort: Effort,
    stop: &dyn Fn() -> bool,
) -> Result<Option<Vec<f64>>, Error> {
    with_images(device, config, Timed::BuiltIn, None, |mut sampler, feed| {
        let n_steps = sampler.warm_up(feed)?;
        effort.repeat(None, stop, || Ok(sampler.row(n_steps, feed)?.step))
    })
}

/// Times of training steps, from which profiles and benchmarks are computed.
#[derive(Clone, Debug)]
pub struct TimedSteps {
    /// Tape of the step.
    pub tape: Tape,
    /// Number of shards that this process computed: all of the step, or the part of one of several ranks.
    pub n_own_shards: usize,
    /// Clock that timed the nodes.
    pub clock: Clock,
    /// Peak rates of the device: the higher of two measurements, before and after the steps.
    pub peak: Peaks,
    /// Time of a node in a timed step, in seconds: `nodes[node][step]`.
    pub nodes: Vec<Vec<f64>>,
    /// Mean time of an ordinary step in seconds, by the host's clock, for each row. A row of ordinary steps, whose
    /// nodes are not timed, follows each timed step.
    pub whole: Vec<f64>,
    /// Mean time in which an ordinary step waited for its images, in seconds, for each row.
    pub waits: Vec<f64>,
    /// Reduction of each timed step; no entries if no ranks share the steps.
    pub reductions: Vec<ReductionTimes>,
}

/// Times training steps on some images. Each repetition is a step in which every node is timed, and then a row of
/// ordinary steps. The two kinds of steps alternate, so a slowdown of the machine lengthens the times of both kinds.
///
/// `progress` receives one line per stage. Returns None if `stop` returned true. If `ranks` share the steps, each rank must
/// call it with the same arguments, and receives the times of its own part.
///
/// # Errors
/// If the step exceeds a limit of the device, or the device fails.
pub fn time_steps(
    device: &Device,
    config: &StepConfig,
    images: Timed<'_>,
    ranks: Option<&Rc<dyn Ranks>>,
    effort: Effort,
    progress: &dyn Fn(&str),
    stop: &dyn Fn() -> bool,
) -> Result<Option<TimedSteps>, Error> {
    progress("measuring the device's peak rates");
    let peak = device.peaks()?;
    progress("compiling the step");
    let timed = with_images(device, config, images, ranks, |mut sampler, feed| {
        let tape = sampler.trainer.tape().clone();
        let n_row = sampler.warm_up(feed)?;
        progress("timing steps");
        let rounds = effort.repeat(ranks.map(|ranks| &**ranks), stop, || {
            let before = sampler.trainer.reductions().unwrap_or_default();
            let times = sampler.nodes()?;
            let reduction = sampler.trainer.reductions().map(|so_far| so_far.since(&before));
            Ok((times, sampler.row(n_row, feed)?, reduction))
        })?;
        Ok(rounds.map(|rounds| (tape, sampler.trainer.part().len(), rounds)))
    })?;
    let Some((tape, n_own_shards, rounds)) = timed else { return Ok(None) };
    // The peak rates are measured again, because other load on the machine may have ended.
    let peak = peak.max(device.peaks()?);
    let clock = rounds[0].0.clock;
    let of_node = |ix: usize| rounds.iter().map(|(times, ..)| times.seconds[ix]).collect();
    let nodes = (0..tape.nodes().len()).map(of_node).collect();
    let whole = rounds.iter().map(|(_, row, _)| row.step).collect();
    let waits = rounds.iter().map(|(_, row, _)| row.wait).collect();
    let reductions = rounds.iter().filter_map(|(.., reduction)| *reduction).collect();
    Ok(Some(TimedSteps { tape, n_own_shards, clock, peak, nodes, whole, waits, reductions }))
}

/// Runs `measure` with a sampler for the first batch of the images, and a feed of all their batches, again and again.
fn with_images<T>(
    device: &Device,
    config: &StepConfig,
    images: Timed<'_>,
    ranks: Option<&Rc<dyn Ranks>>,
    measure: impl FnOnce(Sampler<'_>, &mut Feed) -> Result<T, Error>,
) -> Result<T, Error> {
    // The trainer is made first. If its step does not fit the memory, `Trainer::new` fails before any image is drawn.
    let mut trainer = Trainer::new(device, config, 0)?;
    if let Some(ranks) = ranks {
        trainer.share(Rc::clone(ranks));
    }
    let batch_size = config.batch_size;
    let built_in;
    let (split, order) = match images {
        Timed::Of(split) => (split, batches::epoch_order(0, 0, split.len())),
        Timed::BuiltIn => {
            let drawn = shapes::draw_train(SHAPES_SEED, batch_size).resized(config.size);
            // The images are resized here, so that no measured step waits for it.
            let images: Vec<u8> = drawn.pieces().flatten().collect();
            // The network may have fewer classes than the shapes.
            let label = |label: u16| label % config.network.classes as u16;
            built_in =
                Split::of(config.size, images, drawn.labels.into_iter().map(label).collect());
            (&built_in, batches::in_order(batch_size))
        }
    };
    let measured = thread::scope(|scope| {
        let (size, part) = (trainer.shard_size(), trainer.part());
        let whole = batches::whole_batches(&order, batch_size).cycle();
        let shards = whole
            .flat_map(move |images| images.chunks_exact(size).skip(part.start).take(part.len()));
        let mut feed = Feed::start(scope, split, size, shards);
        measure(Sampler::new(&mut trainer, split, &order[..batch_size]), &mut feed)
    })?;
    trainer.state.drop_metrics()?;
    Ok(measured)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn the_effort_bounds_the_number_of_measurements() {
        let count = |n, seconds, bounds| {
            let effort = Effort { n, seconds, bounds };
            effort.repeat(None, &|| false, || Ok(())).expect("nothing fails").map(|done| done.len())
        };
        assert_eq!(count(Some(4), 0.0, [9, 9]), Some(4), "a given number");
        assert_eq!(count(None, 0.0, [3, 100]), Some(3), "no time at all");
        assert_eq!(count(None, 1e9, [3, 100]), Some(100), "more time than measurements");
        let n_asked = Cell::new(0);
        let stop = || n_asked.replace(n_asked.get() + 1) >= 2;
        let effort = Effort { n: None, seconds: 1e9, bounds: [3, 100] };
        assert_eq!(effort.repeat(None, &stop, || Ok(())).expect("nothing fails"), None);
        assert_eq!(n_asked.get(), 3);
    }
}
