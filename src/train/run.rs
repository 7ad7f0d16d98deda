//! A run: the loop over epochs.
//!
//! [`run()`] prepares a run, `Run::train` is the loop over epochs and `Run::train_epoch` the loop over batches.
//! `start.rs` begins a run or resumes it, `epoch.rs` evaluates an epoch and writes its files, `finish.rs` ends the run.

mod epoch;
mod error;
mod finish;
mod start;

use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use super::checkpoint::{CheckpointFile, Retention};
use super::console::Console;
use super::display::Display;
use super::features::{Features, Images};
use super::feed::Feed;
use super::metrics::{EpochMetrics, best};
use super::outcome::{Ended, Outcome};
use super::recipe::Recipe;
use super::report_writer::ReportWriter;
use super::schedule::Schedule;
use super::stopwatch::Stopwatch;
use super::{Logs, RunFolder, Trainer, picture_list, screen};
use crate::Error;
use crate::base::files::FileError;
use crate::base::fingerprint::Fingerprint;
use crate::data::{Dataset, Loaded, batches};
use crate::device::Device;
use crate::distributed::Ranks;
use crate::nn::{ModelInfo, WeightsFile};
use crate::ops::metrics::Metrics;

pub use error::{NotResumed, TrainError};

/// The inputs of a run.
#[derive(Clone, Copy)]
pub struct Job<'a> {
    /// Every setting.
    pub recipe: &'a Recipe,
    /// The dataset.
    pub loaded: &'a Loaded,
    /// The device.
    pub device: &'a Device,
    /// The weights that the run starts from; none for new weights.
    pub weights: Option<&'a WeightsFile>,
    /// The value true ends the run after the current step.
    pub stop: &'a AtomicBool,
    /// The value true requests a checkpoint. The run writes the checkpoint after the current step or evaluation, prints
    /// its path on the standard error, and sets the value to false.
    pub checkpoint: &'a AtomicBool,
    /// The ranks that share the run; none if this process trains alone. The first rank alone writes files.
    pub ranks: Option<&'a Rc<dyn Ranks>>,
    /// The code that times the layers of a step and writes the page `report.html`, both at the end of the run.
    pub report: &'a dyn ReportWriter,
}

impl Job<'_> {
    /// Returns true if this process writes the files of the run.
    fn is_first(&self) -> bool {
        self.ranks.is_none_or(|ranks| ranks.rank() == 0)
    }

    /// Returns the requests that all ranks act on: to stop, and to write a checkpoint, from signals that reached any rank;
    /// and a checkpoint that is due by the first rank's clock, where `is_due` is that of this rank. Also returns the
    /// longest time of all ranks, where `waited` is that of this rank, in seconds. All ranks call it after the same step.
    fn requests(&self, is_due: bool, waited: f64) -> ([bool; 3], f64) {
        let [stops, asks] = [self.stop, self.checkpoint].map(|flag| flag.load(Ordering::Relaxed));
        let own = [stops, asks, is_due && self.is_first()];
        let Some(ranks) = self.ranks else { return (own, waited) };
        // One message has all: a bit for each request, and microseconds above them.
        let flags = (0..3).fold(0, |flags, bit| flags | u64::from(own[bit]) << bit);
        let all = ranks.all_numbers(((1e6 * waited) as u64) << 3 | flags);
        let is_set = |bit: u32| all.iter().any(|number| number >> bit & 1 == 1);
        let longest = all.iter().map(|number| number >> 3).max().unwrap_or_default();
        ([0, 1, 2].map(is_set), 1e-6 * longest as f64)
    }
}

/// Trains with the recipe's settings, prints the progress, and writes the results into the folder. Starts from the
/// beginning, or from a checkpoint of the same run in the same folder.
///
/// # Errors
/// * A step exceeds a limit of the device, or the device fails.
/// * A loss or gradient is not finite. The folder then has the weights from before that step, and a file to replay the
///   step from.
/// * Every step of an epoch was skipped.
/// * The loss of an evaluation is not finite. The folder keeps the weights of the previous epoch.
/// * The weights cannot be written at the end.
///
/// A run that fails before its first step leaves no folder.
pub fn run(
    job: Job<'_>,
    folder: &mut RunFolder,
    resumed: Option<CheckpointFile>,
    display: &mut dyn Display,
) -> Result<Outcome, Error> {
    let console = Console::new(job.recipe, job.loaded, job.device);
    console.dataset();
    let begun = Instant::now();
    let train = &job.loaded.dataset.train;
    let config = job.recipe.step().for_sizes(train);
    for config in [&config, &job.recipe.step_on(job.recipe.epochs, train)] {
        Trainer::check(job.device, config).inspect_err(|_| folder.remove())?;
    }
    let weights = match job.weights.filter(|_| resumed.is_none()) {
        Some(file) => Some(
            start::initial_weights(file, &config, job.recipe).inspect_err(|_| folder.remove())?,
        ),
        None => None,
    };
    if job.is_first() && resumed.is_none() && !folder.is_open() {
        // The folder is created before the kernels are compiled, which may take minutes. A folder that cannot be
        // written then fails early.
        folder.create(job.recipe)?;
    }
    if job.is_first() && resumed.is_none() {
        let dataset = &job.loaded.dataset;
        picture_list::write(folder.path(), dataset).inspect_err(|_| folder.remove())?;
    }
    // The epoch of the latest step. The run itself changes to the steps of its next epoch.
    let epoch = resumed.as_ref().map_or(0, |file| file.header.epoch_of_last_step());
    let trainer = start::ready_trainer(&job, epoch, weights.as_ref());
    let mut trainer = trainer.inspect_err(|_| folder.remove())?;
    if let Some(ranks) = job.ranks {
        trainer.share(Rc::clone(ranks));
    }
    let earlier = resumed.as_ref().map_or(&[][..], |file| &file.header.epochs);
    let mut run = Run::new(job, folder, console, trainer, display, earlier)?;
    if let Some(file) = resumed {
        run.resume(file)?;
    }
    if matches!(job.device, Device::Gpu(_)) {
        run.console.compiled(begun.elapsed().as_secs_f64());
    }
    run.console.network(&run.trainer, run.folder.path());
    run.console.resumed(&run.epochs, run.n_steps());
    // The display estimates the time that is left from the time since it began, so the features come before it.
    let cached = run.cache_features();
    run.begin_display();
    let result = cached.and_then(|()| run.train());
    run.finish(result)
}

/// The reason why a run ended before the end of its last epoch.
enum Stopped {
    Early(Ended),
    Failed(Error),
}

impl From<Error> for Stopped {
    fn from(error: Error) -> Self {
        Stopped::Failed(error)
    }
}

/// A run in progress: its settings, files and trainer, and its position (the epoch, and the batch in the epoch).
struct Run<'a> {
    job: Job<'a>,
    recipe: &'a Recipe,
    dataset: &'a Dataset,
    device: String,
    /// The name of the device that the run began on, if the run is now on another device.
    began_on: Option<String>,
    stop: &'a AtomicBool,
    folder: &'a RunFolder,
    console: Console<'a>,
    /// The logs of the run; none if another rank writes them.
    logs: Option<Logs>,
    display: &'a mut dyn Display,
    retention: Retention,
    schedule: Box<dyn Schedule>,
    info: ModelInfo,
    fingerprint: Fingerprint,
    trainer: Trainer,
    /// The features of the training images and of the evaluated images; none if no features are cached.
    features: Option<[Features; 2]>,
    /// The current epoch, from 0.
    epoch: usize,
    /// The order of the current epoch's images.
    order: Vec<u32>,
    /// The number of batches of the current epoch that were trained on.
    n_batches: usize,
    /// The metrics of the current epoch's training steps; none before the last step of the epoch.
    trained: Option<Metrics>,
    epochs: Vec<EpochMetrics>,
    best_step: Option<u64>,
    epoch_watch: Stopwatch,
    /// The time in the current epoch in which the steps waited for their images, in seconds; since the start or the
    /// resume, if it is in this epoch.
    waited: f64,
    /// Seconds in which this rank had waited for others, and bytes that it had sent, before the epoch.
    traffic: (f64, u64),
    watch: Stopwatch,
}

impl Run<'_> {
    /// Trains and evaluates the remaining epochs.
    fn train(&mut self) -> Result<(), Stopped> {
        self.watch.start();
        while self.epoch < self.recipe.epochs {
            if self.is_out_of_patience() {
                return Err(Stopped::Early(Ended::OutOfPatience));
            }
            self.unfreeze()?;
            self.train_epoch()?;
            let epoch = self.evaluate_epoch()?;
            self.console.epoch(&epoch);
            self.display.epoch(&epoch);
            self.end_epoch(epoch)?;
            self.wait_for_files();
        }
        Ok(())
    }

    /// Waits until the first rank has written its files, so that no other wait lasts longer than a step.
    fn wait_for_files(&self) {
        self.job.ranks.iter().for_each(|ranks| ranks.wait_for_files());
    }

    /// Trains on the remaining batches of the epoch. Another thread fills each shard while the shard before it runs.
    /// Cached features are in memory and need no thread.
    fn train_epoch(&mut self) -> Result<(), Stopped> {
        let Recipe { batch_size, .. } = *self.recipe;
        self.display.begin_epoch(self.epoch, self.n_batches);
        self.epoch_watch.start();
        let (train, order) = (&self.dataset.train, self.order.clone());
        let remaining = batches::whole_batches(&order[self.n_batches * batch_size..], batch_size);
        thread::scope(|scope| {
            let mut feed = match self.features {
                Some(_) => None,
                None => {
                    let (size, part) = (self.trainer.shard_size(), self.trainer.part());
                    let shards = remaining.clone().flat_map(move |images| {
                        images.chunks_exact(size).skip(part.start).take(part.len())
                    });
                    Some(Feed::start(scope, train, size, shards))
                }
            };
            for (ix, images) in remaining.enumerate() {
                self.train_batch(images, feed.as_mut(), (ix + 1) * batch_size)?;
            }
            self.waited = feed.map_or(0.0, |feed| feed.waited());
            Ok::<(), Stopped>(())
        })?;
        self.trained = Some(self.trainer.state.take_metrics()?);
        self.epoch_watch.stop();
        Ok(())
    }

    /// Trains on the next batch of the epoch: that of the feed, or the features of the images whose numbers are in
    /// `images`. `n_seen` is the number of images since the epoch was begun or resumed, those of this batch included.
    fn train_batch(
        &mut self,
        images: &[u32],
        feed: Option<&mut Feed>,
        n_seen: usize,
    ) -> Result<(), Stopped> {
        let (lr, epoch) = (self.schedule.rate(self.n_steps()), self.epoch);
        let is_timed = self.display.wants_times();
        let times = match (feed, &self.features) {
            (Some(feed), _) if is_timed => Some(self.trainer.timed_step_from(feed, epoch, lr)?),
            (Some(feed), _) => self.trainer.step_from(feed, epoch, lr).map(|()| None)?,
            (None, features) => {
                let [train, _] = features.as_ref().expect("without a feed there are features");
                let train = Images::Features(train);
                match is_timed {
                    true => Some(self.trainer.timed_step(train, images, epoch, lr)?),
                    false => self.trainer.step(train, images, epoch, lr).map(|()| None)?,
                }
            }
        };
        if let Some(times) = times {
            self.display.times(self.trainer.tape(), &times);
        }
        self.n_batches += 1;
        // These metrics are a few steps old: the loop does not wait for the device.
        if let Some(metrics) = self.trainer.state.late_metrics()? {
            self.display.metrics(&metrics);
        }
        if self.display.step(n_seen, lr) {
            self.trainer.state.request_metrics()?;
        }
        let waited = self.job.ranks.map_or(0.0, |ranks| ranks.traffic().0 - self.traffic.0);
        let is_due = self.retention.is_due(self.trainer.state.n_steps);
        let ([stops, is_asked_for, is_due], longest_wait) = self.job.requests(is_due, waited);
        if self.job.ranks.is_some() {
            self.display.waited_for_ranks(longest_wait);
        }
        if stops {
            return Err(Stopped::Early(Ended::Interrupted));
        }
        if is_asked_for || is_due {
            self.epoch_watch.stop();
            self.write_checkpoint(is_asked_for)?;
            self.wait_for_files();
            self.epoch_watch.start();
        }
        Ok(())
    }

    /// Returns whether no epoch is left to train.
    fn is_over(&self) -> bool {
        self.epoch >= self.recipe.epochs || self.is_out_of_patience()
    }

    fn is_out_of_patience(&self) -> bool {
        let since_best = best(&self.epochs).map_or(0, |best| self.epochs.len() - best.epoch);
        self.recipe.patience.is_some_and(|patience| since_best >= patience)
    }

    /// Returns the number of training steps so far.
    fn n_steps(&self) -> usize {
        self.trainer.state.n_steps as usize
    }
}

/// Prints a warning if a file could not be written. The training continues, since hours of training are worth more than
/// the file.
fn go_on_without(written: Result<(), FileError>) {
    warn(written, "; training goes on");
}

/// Prints a warning if a file could not be written at the end of a run. For files that are written during training,
/// [`go_on_without`] prints the warning.
fn end_without(written: Result<(), FileError>) {
    warn(written, "");
}

fn warn(written: Result<(), FileError>, consequence: &str) {
    if let Err(error) = written {
        screen::note(&format!("warning: {error}{consequence}"));
    }
}
