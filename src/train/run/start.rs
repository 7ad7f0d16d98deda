//! The beginning of a run: with new weights, with weights from a file, or from a checkpoint.

use std::sync::atomic::Ordering;
use std::time::Instant;

use super::{Ended, Job, Run, Stopped, go_on_without};
use crate::Error;
use crate::base::shown::Shown;
use crate::base::units::readable_bytes;
use crate::data::batches;
use crate::device::Device;
use crate::nn::{Weights, WeightsFile};
use crate::tape::Mode;
use crate::train::checkpoint::{Checkpoint, CheckpointFile, Retention};
use crate::train::console::Console;
use crate::train::display::{Display, RunFacts};
use crate::train::step::{self, StepConfig};
use crate::train::stopwatch::Stopwatch;
use crate::train::{EpochMetrics, Logs, Recipe, RunFolder, TrainError, Trainer, screen};

impl<'a> Run<'a> {
    /// Returns a run before its first step, and opens its logs. `earlier` are the epochs before a resume.
    pub(super) fn new(
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
            logs: match job.is_first() {
                true => {
                    let steps_per_epoch = recipe.steps_per_epoch(n_images);
                    Some(Logs::open(folder.path(), earlier, steps_per_epoch)?)
                }
                false => None,
            },
            display,
            retention: Retention::new(folder.path(), recipe.checkpoint_every),
            schedule: recipe.schedule(n_images),
            info: recipe.info(&loaded.dataset),
            fingerprint: loaded.dataset.fingerprint(),
            trainer,
            features: None,
            epoch: 0,
            order: batches::epoch_order(recipe.seed, 0, n_images),
            n_batches: 0,
            trained: None,
            epochs: Vec::new(),
            best_step: None,
            epoch_watch: Stopwatch::default(),
            waited: 0.0,
            traffic: job.ranks.map_or((0.0, 0), |ranks| ranks.traffic()),
            watch: Stopwatch::default(),
        })
    }

    /// Continues from a checkpoint.
    pub(super) fn resume(&mut self, file: CheckpointFile) -> Result<(), Error> {
        let path = file.path().to_path_buf();
        let checkpoint = file.restore(&self.trainer.state.layout)?;
        let Recipe { batch_size, epochs, .. } = *self.recipe;
        let fits = checkpoint.check_run(self.dataset.train.len(), batch_size, epochs);
        fits.map_err(|reason| TrainError::Checkpoint { path, reason })?;
        let Checkpoint { header, order, snapshot, .. } = checkpoint;
        self.trainer.state.restore(&snapshot)?;
        let n_images = self.dataset.train.len();
        self.trainer.state.optimizer_start =
            self.recipe.optimizer_start(header.epoch_of_last_step(), n_images);
        (self.epoch, self.n_batches, self.order) = (header.epoch, header.n_batches, order);
        (self.epochs, self.best_step) = (header.epochs, header.best_step);
        self.epoch_watch = Stopwatch::at(header.epoch_seconds);
        self.watch = Stopwatch::at(header.run_seconds);
        if self.is_over() {
            // No training step is left, so the results name the device that trained, not the present one.
            self.device = header.device;
        } else {
            self.began_on = header.began_on;
            if self.console.other_device(&header.device, &self.device) {
                self.began_on.get_or_insert(header.device);
                if self.job.is_first() {
                    go_on_without(self.folder.write_config(self.recipe));
                }
            }
        }
        if self.job.is_first() {
            self.restore_best()?;
            self.folder.write_metrics(&self.epochs)?;
        }
        Ok(())
    }

    /// Writes the best weights again, from their checkpoint. The file in the folder may be from a later epoch than the
    /// one in which the run continues.
    fn restore_best(&self) -> Result<(), Error> {
        let Some(step) = self.best_step else { return Ok(()) };
        let checkpoint = self.folder.path().join(Checkpoint::file_name(step));
        if !checkpoint.exists() {
            return Ok(());
        }
        let layout = &self.trainer.state.layout;
        let (weights, _) = WeightsFile::read(&checkpoint)?.weights(layout)?;
        // A checkpoint does not store the batch norms' count of batches (PyTorch's `num_batches_tracked`), because this
        // count is the number of steps.
        let weights = Weights { n_batches: step, ..weights };
        go_on_without(weights.save(layout, Some(&self.info), &self.folder.best()));
        Ok(())
    }

    /// Computes the features of the training images and of the images on which epochs are evaluated, if features are
    /// cached and an epoch is left.
    pub(super) fn cache_features(&mut self) -> Result<(), Stopped> {
        if !self.recipe.cache_features || self.is_over() {
            return Ok(());
        }
        self.watch.start();
        let begun = Instant::now();
        let (train, evaluated) = (&self.dataset.train, self.dataset.evaluated());
        self.trainer.check_features(train.len(), evaluated.len()).map_err(Error::from)?;
        let stop = || self.stop.load(Ordering::Relaxed);
        let features = (
            self.trainer.features(train, Mode::Train, &stop)?,
            self.trainer.features(evaluated, Mode::Eval, &stop)?,
        );
        // Every rank computes all features. A signal on one of them ends all.
        let is_stopped = features.0.is_none() || features.1.is_none();
        let is_stopped =
            self.job.ranks.map_or(is_stopped, |ranks| ranks.any(u64::from(is_stopped)) > 0);
        let (Some(train), Some(evaluated), false) = (features.0, features.1, is_stopped) else {
            return Err(Stopped::Early(Ended::Interrupted));
        };
        let features = [train, evaluated];
        self.console.features(&features, begun.elapsed().as_secs_f64());
        self.features = Some(features);
        Ok(())
    }

    /// Trains all parameters from the next step on, if the current epoch begins with it.
    pub(super) fn unfreeze(&mut self) -> Result<(), Error> {
        let begins = self.n_batches == 0 && self.recipe.unfreeze_at == Some(self.epoch + 1);
        if begins {
            self.trainer.unfreeze(&self.recipe.step_on(self.epoch, &self.dataset.train))?;
            if matches!(self.job.device, Device::Gpu(_)) {
                self.trainer.warm_up()?;
            }
            self.console.unfrozen(self.epoch);
        }
        Ok(())
    }

    /// Passes the facts of the run and its earlier epochs to the display.
    pub(super) fn begin_display(&mut self) {
        self.display.begin(&RunFacts {
            device: self.device.clone(),
            memory: readable_bytes(self.trainer.planned_bytes()),
            folder: self.folder.path().shown(),
            n_epochs: self.recipe.epochs,
            n_steps: self.recipe.steps_per_epoch(self.dataset.train.len()),
            evaluated_on: self.dataset.evaluated_on(),
        });
        self.epochs.iter().for_each(|epoch| self.display.epoch(epoch));
    }
}

/// Returns the weights of a file for a run to start from. Prints a note for each tensor whose name or type was
/// converted, and for the parameters that begin with new weights.
pub(super) fn initial_weights(
    file: &WeightsFile,
    config: &StepConfig,
    recipe: &Recipe,
) -> Result<Weights, Error> {
    let tape = step::evaluation(config).tape;
    let (network, new_head) = (&config.network, recipe.new_head);
    let (weights, notes) = file.weights_of(network, tape.state(), new_head, recipe.seed)?;
    notes.iter().for_each(|note| screen::note(&format!("note: {}: {note}", file.path().shown())));
    Ok(weights)
}

/// Returns a trainer with these weights, or with new weights, for the steps of an epoch, from 0. On a GPU every kernel
/// of the trainer has run once, so the first step of the run takes no longer than the others.
pub(super) fn ready_trainer(
    job: &Job<'_>,
    epoch: usize,
    weights: Option<&Weights>,
) -> Result<Trainer, Error> {
    let Job { recipe, loaded, device, .. } = job;
    let config = recipe.step_on(epoch, &loaded.dataset.train);
    let mut trainer = Trainer::new(device, &config, recipe.seed)?;
    if let Some(weights) = weights {
        trainer.state.set_weights(weights)?;
    }
    if matches!(device, Device::Gpu(_)) {
        trainer.warm_up()?;
    }
    Ok(trainer)
}
