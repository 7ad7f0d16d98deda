//! A run: dataset, schedule, network, epochs, table.

mod ending;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::checkpoint::{Checkpoint, CheckpointFile, Header, Keeper};
use super::console::Console;
use super::display::{Display, RunFacts};
use super::folder::Summary;
use super::metrics::{EpochMetrics, best};
use super::recipe::Recipe;
use super::schedule::OneCycle;
use super::step::{self, StepConfig};
use super::stopwatch::Stopwatch;
use super::{Evaluator, Logs, RunFolder, Trainer, screen};
use crate::base::fingerprint::Fingerprint;
use crate::base::shown::Shown;
use crate::base::units::readable_bytes;
use crate::data::{Dataset, Loaded, batches};
use crate::device::Device;
use crate::error::Error;
use crate::nn::{ModelInfo, Snapshot, Weights, WeightsFile};
use crate::ops::metrics::Metrics;
use crate::tape::Group;

use ending::go_on_without;

/// What a run is made of.
#[derive(Clone, Copy)]
pub struct Job<'a> {
    /// Every setting.
    pub recipe: &'a Recipe,
    /// The images.
    pub loaded: &'a Loaded,
    /// What it runs on.
    pub device: &'a Device,
    /// The weights that it starts from; none for fresh ones.
    pub weights: Option<&'a WeightsFile>,
    /// Becomes true when the run should end after the step it is in, and leave what it has.
    pub stop: &'a AtomicBool,
    /// Becomes true when a checkpoint should be written after the step it is in, or after the evaluation; the
    /// run writes it, says so on the standard error, and makes this false.
    pub checkpoint: &'a AtomicBool,
    /// Writes the page of the run at its end.
    pub report: &'a dyn ReportWriter,
}

/// A writer of the page of a run that has ended. Training leaves what a page shows, and draws nothing itself.
pub trait ReportWriter {
    /// Writes the page. `evaluator` holds the weights of the run. Returns the file, and whether the page is whole:
    /// predictions are left out once `stop` returns true.
    fn write(
        &self,
        run: &EndedRun<'_>,
        evaluator: &mut Evaluator,
        stop: &dyn Fn() -> bool,
    ) -> (PathBuf, Result<(), Error>);
}

/// A run that has ended, for its page.
#[derive(Clone, Copy)]
pub struct EndedRun<'a> {
    /// The run as it was asked for.
    pub job: Job<'a>,
    /// Its folder.
    pub folder: &'a Path,
    /// The epochs that were trained and evaluated.
    pub epochs: &'a [EpochMetrics],
    /// Its results.
    pub summary: &'a Summary,
}

/// How a run came to its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    /// After its last epoch.
    Finished,
    /// After an epoch, because the evaluation had not become better for too long.
    OutOfPatience,
    /// Early, because it was asked to stop.
    Interrupted,
}

/// What a run came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// How it ended.
    pub ended: Ended,
    /// The epochs that were trained and evaluated.
    pub epochs: Vec<EpochMetrics>,
    /// Loss and accuracy over the test images at the end; none when it was interrupted before it was known.
    pub test: Option<(f64, f64)>,
    /// The time from its first step to its end, evaluation included, but no time between resumes.
    pub seconds: f64,
}

impl Outcome {
    /// The epoch with the best evaluation; none before the first is over.
    pub fn best(&self) -> Option<&EpochMetrics> {
        best(&self.epochs)
    }
}

/// Trains as the recipe says, prints how it goes, and leaves the results in the folder: from the
/// beginning, or from a checkpoint of the same run in the same folder.
///
/// # Errors
/// When a step passes a limit of the device, the device fails, a loss or gradient is not finite (the
/// weights from before that are left in the folder, and a file to look at the step with), the loss of the
/// evaluation is not finite (the folder keeps the weights of the epoch before), or the weights cannot be
/// written at the end. A run that fails before its first step leaves no folder.
pub fn run(
    job: Job<'_>,
    folder: &mut RunFolder,
    resumed: Option<CheckpointFile>,
    display: &mut dyn Display,
) -> Result<Outcome, Error> {
    let console = Console::new(job.recipe, job.loaded, job.device);
    console.dataset();
    let begun = Instant::now();
    let config = job.recipe.step();
    Trainer::check(job.device, &config).inspect_err(|_| folder.remove())?;
    let weights = match job.weights.filter(|_| resumed.is_none()) {
        Some(file) => Some(initial_weights(file, &config).inspect_err(|_| folder.remove())?),
        None => None,
    };
    if resumed.is_none() && !folder.is_open() {
        // Before minutes of compiling: a folder that cannot be written is better found out now.
        folder.create(job.recipe)?;
    }
    let trainer = ready_trainer(job.recipe, job.device, weights.as_ref());
    let trainer = trainer.inspect_err(|_| folder.remove())?;
    let earlier = resumed.as_ref().map_or(&[][..], |file| &file.header.epochs);
    let mut run = Run::new(job, folder, console, trainer, display, earlier)?;
    if let Some(file) = resumed {
        run.resume(file)?;
    }
    if matches!(job.device, Device::Gpu(_)) {
        run.console.compiled(begun.elapsed().as_secs_f64());
    }
    run.console.network(&run.trainer, run.folder.path());
    run.console.resumed(&run.epochs, run.trainer.n_steps());
    run.begin_display();
    let result = run.train();
    run.finish(result)
}

/// Why a run did not come to its last epoch's end.
enum Stopped {
    Early(Ended),
    Failed(Error),
}

impl From<Error> for Stopped {
    fn from(error: Error) -> Self {
        Stopped::Failed(error)
    }
}

/// A run, and where it is.
struct Run<'a> {
    job: Job<'a>,
    recipe: &'a Recipe,
    dataset: &'a Dataset,
    device: String,
    /// The device that it began on, if it has moved since.
    began_on: Option<String>,
    stop: &'a AtomicBool,
    folder: &'a RunFolder,
    console: Console<'a>,
    logs: Logs,
    display: &'a mut dyn Display,
    keeper: Keeper,
    schedule: OneCycle,
    info: ModelInfo,
    fingerprint: Fingerprint,
    trainer: Trainer,
    /// The epoch that it is in, from 0.
    epoch: usize,
    /// The order of that epoch's images.
    order: Vec<u32>,
    /// Batches of it that were trained on.
    n_batches: usize,
    /// What they came to, once that is all of them.
    trained: Option<Metrics>,
    epochs: Vec<EpochMetrics>,
    best_step: Option<u64>,
    epoch_watch: Stopwatch,
    watch: Stopwatch,
}

impl<'a> Run<'a> {
    fn new(
        job: Job<'a>,
        folder: &'a RunFolder,
        console: Console<'a>,
        trainer: Trainer,
        display: &'a mut dyn Display,
        earlier: &[EpochMetrics],
    ) -> Result<Self, Error> {
        let Job { recipe, loaded, device, stop, .. } = job;
        let n_images = loaded.dataset.train.len();
        Ok(Self {
            job,
            recipe,
            dataset: &loaded.dataset,
            device: device.name(),
            began_on: None,
            stop,
            folder,
            console,
            logs: Logs::open(folder.path(), earlier, recipe.steps_per_epoch(n_images))?,
            display,
            keeper: Keeper::new(folder.path(), recipe.checkpoint_every),
            schedule: recipe.schedule(n_images),
            info: recipe.info(&loaded.dataset),
            fingerprint: loaded.dataset.fingerprint(),
            trainer,
            epoch: 0,
            order: batches::epoch_order(recipe.seed, 0, n_images),
            n_batches: 0,
            trained: None,
            epochs: Vec::new(),
            best_step: None,
            epoch_watch: Stopwatch::default(),
            watch: Stopwatch::default(),
        })
    }

    /// Goes on from a checkpoint.
    fn resume(&mut self, file: CheckpointFile) -> Result<(), Error> {
        let path = file.path().to_path_buf();
        let checkpoint = file.restore(self.trainer.layout())?;
        let Recipe { batch_size, epochs, .. } = *self.recipe;
        let fits = checkpoint.check_run(self.dataset.train.len(), batch_size, epochs);
        fits.map_err(|reason| Error::Checkpoint { path, reason })?;
        let Checkpoint { header, order, snapshot, .. } = checkpoint;
        self.trainer.restore(&snapshot)?;
        (self.epoch, self.n_batches, self.order) = (header.epoch, header.n_batches, order);
        (self.epochs, self.best_step) = (header.epochs, header.best_step);
        self.epoch_watch = Stopwatch::at(header.epoch_seconds);
        self.watch = Stopwatch::at(header.run_seconds);
        if self.is_over() {
            // Nothing that is left to do trains.
            self.device = header.device;
        } else {
            self.began_on = header.began_on;
            if self.console.other_device(&header.device, &self.device) {
                self.began_on.get_or_insert(header.device);
                go_on_without(self.folder.write_config(self.recipe))?;
            }
        }
        self.restore_best()?;
        self.folder.write_metrics(&self.epochs)
    }

    /// Writes the best weights once more, from their checkpoint: the run may go on from before the epoch that
    /// wrote the file that is there.
    fn restore_best(&self) -> Result<(), Error> {
        let Some(step) = self.best_step else { return Ok(()) };
        let checkpoint = self.folder.path().join(Checkpoint::file_name(step));
        if !checkpoint.exists() {
            return Ok(());
        }
        let layout = self.trainer.layout();
        let (weights, _) = WeightsFile::read(&checkpoint)?.weights(layout)?;
        // A checkpoint leaves the count of batches out: it is that of the steps.
        let weights = Weights { n_batches: step, ..weights };
        go_on_without(weights.save(layout, Some(&self.info), &self.folder.best()))
    }

    fn begin_display(&mut self) {
        self.display.begin(&RunFacts {
            device: self.device.clone(),
            memory: readable_bytes(self.trainer.planned_bytes()),
            folder: self.folder.path().shown(),
            n_epochs: self.recipe.epochs,
            n_steps: self.recipe.steps_per_epoch(self.dataset.train.len()),
        });
        self.epochs.iter().for_each(|epoch| self.display.epoch(epoch));
    }

    fn train(&mut self) -> Result<(), Stopped> {
        self.watch.start();
        while self.epoch < self.recipe.epochs {
            if self.is_out_of_patience() {
                return Err(Stopped::Early(Ended::OutOfPatience));
            }
            self.train_epoch()?;
            let epoch = self.evaluate_epoch()?;
            self.console.epoch(&epoch);
            self.display.epoch(&epoch);
            self.end_epoch(epoch)?;
        }
        Ok(())
    }

    /// Trains on the batches that are left of the epoch.
    fn train_epoch(&mut self) -> Result<(), Stopped> {
        let Recipe { batch_size, .. } = *self.recipe;
        self.display.begin_epoch(self.epoch, self.n_batches);
        let n_before = self.n_batches;
        self.epoch_watch.start();
        while self.n_batches < self.order.len() / batch_size {
            let lr = self.schedule.rate(self.trainer.n_steps());
            let images = &self.order[self.n_batches * batch_size..][..batch_size];
            if self.display.wants_times() {
                let times = self.trainer.timed_step(&self.dataset.train, images, self.epoch, lr)?;
                self.display.times(self.trainer.tape(), &times);
            } else {
                self.trainer.step(&self.dataset.train, images, self.epoch, lr)?;
            }
            self.n_batches += 1;
            // What is shown is a little old: nothing waits for it.
            if let Some(metrics) = self.trainer.late_metrics()? {
                self.display.metrics(&metrics);
            }
            if self.display.step((self.n_batches - n_before) * batch_size, lr) {
                self.trainer.request_metrics()?;
            }
            self.check_stop()?;
            let is_asked_for = self.job.checkpoint.load(Ordering::Relaxed);
            if is_asked_for || self.keeper.is_due(self.trainer.n_steps() as u64) {
                self.epoch_watch.stop();
                self.write_checkpoint()?;
                self.epoch_watch.start();
            }
        }
        self.trained = Some(self.trainer.take_metrics()?);
        self.epoch_watch.stop();
        Ok(())
    }

    fn evaluate_epoch(&mut self) -> Result<EpochMetrics, Stopped> {
        self.display.begin_evaluation();
        let begun = Instant::now();
        let stop = self.stop;
        let stop = || stop.load(Ordering::Relaxed);
        let (train, order) = (&self.dataset.train, &self.order);
        let evaluated = match self.trainer.update_statistics(train, order, self.epoch, &stop)? {
            true => self.trainer.evaluate(self.dataset.evaluated(), &stop)?,
            false => None,
        };
        self.display.end_epoch();
        let evaluated = evaluated.ok_or(Stopped::Early(Ended::Interrupted))?;
        if !evaluated.loss().is_finite() {
            // Not `NotFinite`, after which the weights are saved: these are of no use.
            return Err(Stopped::Failed(Error::Training(format!(
                "the loss of the evaluation is not finite after epoch {}: the weights have grown too \
                 large; use a smaller --max-lr",
                self.epoch + 1
            ))));
        }
        let trained = self.trained.unwrap_or_default();
        if trained.n_images == 0.0 {
            return Err(Stopped::Failed(Error::Training(format!(
                "no step of epoch {} was finite, so there is nothing to go on with; use a smaller --max-lr",
                self.epoch + 1
            ))));
        }
        let seconds = self.epoch_watch.seconds();
        let weights = self.trainer.weights()?;
        let epoch = EpochMetrics {
            epoch: self.epoch + 1,
            lr: self.schedule.rate(self.trainer.n_steps().saturating_sub(1)),
            train_loss: trained.loss(),
            train_accuracy: trained.accuracy(),
            validation_loss: None,
            validation_accuracy: None,
            test_loss: None,
            test_accuracy: None,
            skipped_steps: trained.n_skipped as u64,
            seconds,
            eval_seconds: begun.elapsed().as_secs_f64(),
            images_per_s: (self.n_batches * self.recipe.batch_size) as f64 / seconds,
            weights: Fingerprint::of_f32([&weights.parameters[..], &weights.statistics]),
        };
        Ok(epoch.with_evaluation(&evaluated, !self.dataset.validation.is_empty()))
    }

    /// Leaves the epoch in the folder, and goes on to the next.
    fn end_epoch(&mut self, epoch: EpochMetrics) -> Result<(), Error> {
        self.epochs.push(epoch);
        let is_best = best(&self.epochs).is_some_and(|best| best.epoch == epoch.epoch);
        if is_best {
            self.best_step = Some(self.trainer.n_steps() as u64);
        }
        self.epoch += 1;
        (self.n_batches, self.trained, self.epoch_watch) = (0, None, Stopwatch::default());
        let n_images = self.dataset.train.len();
        self.order = batches::epoch_order(self.recipe.seed, self.epoch as u64, n_images);
        go_on_without(self.folder.write_metrics(&self.epochs))?;
        go_on_without(self.logs.append(&epoch))?;
        // Before the weights: a folder with weights and no checkpoint is one whose checkpoints were removed.
        self.write_checkpoint()?;
        let weights = self.trainer.weights()?;
        let files = [Some(self.folder.model()), is_best.then(|| self.folder.best())];
        for file in files.into_iter().flatten() {
            go_on_without(weights.save(self.trainer.layout(), Some(&self.info), &file))?;
        }
        Ok(())
    }

    /// Whether no epoch is left to train.
    fn is_over(&self) -> bool {
        self.epoch >= self.recipe.epochs || self.is_out_of_patience()
    }

    fn is_out_of_patience(&self) -> bool {
        let since_best = best(&self.epochs).map_or(0, |best| self.epochs.len() - best.epoch);
        self.recipe.patience.is_some_and(|patience| since_best >= patience)
    }

    fn check_stop(&self) -> Result<(), Stopped> {
        match self.stop.load(Ordering::Relaxed) {
            true => Err(Stopped::Early(Ended::Interrupted)),
            false => Ok(()),
        }
    }

    fn write_checkpoint(&mut self) -> Result<(), Error> {
        let is_asked_for = self.job.checkpoint.swap(false, Ordering::Relaxed);
        let checkpoint = self.checkpoint()?;
        let is_written = self.keeper.save(&checkpoint, self.trainer.layout());
        if is_asked_for && is_written {
            let path = self.folder.path().join(Checkpoint::file_name(checkpoint.header.step));
            screen::note(&format!("written on request: {}", path.shown()));
        }
        Ok(())
    }

    /// This moment.
    fn checkpoint(&mut self) -> Result<Checkpoint, Error> {
        let mut snapshot = self.trainer.snapshot()?;
        if let Some(trained) = &self.trained {
            // The device may be counting the evaluation already.
            let is_metrics = |group: &Group| *group == Group::Metrics;
            if let Some(at) = Snapshot::GROUPS.iter().position(is_metrics) {
                trained.write(&mut snapshot.groups[at]);
            }
        }
        let header = Header {
            format_version: Header::version(),
            checksum: None,
            step: snapshot.n_steps,
            epoch: self.epoch,
            n_batches: self.n_batches,
            seed: self.recipe.seed,
            epoch_seconds: self.epoch_watch.seconds(),
            run_seconds: self.watch.seconds(),
            best_step: self.best_step,
            device: self.device.clone(),
            began_on: self.began_on.clone(),
            dataset: self.fingerprint,
            config: self.recipe.to_toml(),
            epochs: self.epochs.clone(),
        };
        let info = Some(self.info.clone());
        Ok(Checkpoint { header, order: self.order.clone(), batch: None, snapshot, info })
    }
}

/// The weights of a file, for a run to start from. Liberties taken with the file are notes on the screen.
fn initial_weights(file: &WeightsFile, config: &StepConfig) -> Result<Weights, Error> {
    let (weights, notes) = file.weights(step::evaluation(config).tape.state())?;
    notes.iter().for_each(|note| screen::note(&format!("note: {}: {note}", file.path().shown())));
    Ok(weights)
}

/// A trainer whose first step takes no longer than the others, with those weights or fresh ones.
fn ready_trainer(
    recipe: &Recipe,
    device: &Device,
    weights: Option<&Weights>,
) -> Result<Trainer, Error> {
    let mut trainer = Trainer::new(device, &recipe.step(), recipe.seed)?;
    if let Some(weights) = weights {
        trainer.set_weights(weights)?;
    }
    if matches!(device, Device::Gpu(_)) {
        trainer.warm_up()?;
    }
    Ok(trainer)
}
