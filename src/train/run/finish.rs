//! The end of a run: after its last epoch, early, or at a step with a NaN or infinite loss or gradient.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::{Job, Run, Stopped, end_without};
use crate::Error;
use crate::data::batches::Batch;
use crate::train::checkpoint::Checkpoint;
use crate::train::folder::{BEST, NON_FINITE_DUMP, Summary};
use crate::train::outcome::{Ended, Outcome};
use crate::train::replay::{Replay, first_not_finite};
use crate::train::report_writer::EndedRun;
use crate::train::{EpochMetrics, Recipe};
use crate::train::{StepError, TrainError};

/// The longest time that the evaluation for the page `report.html` may take after the run was interrupted.
const PATIENCE: Duration = Duration::from_secs(20);

impl Run<'_> {
    /// Writes the weights, `summary.json` and `report.html` into the run folder, and prints the results.
    pub(super) fn finish(&mut self, result: Result<(), Stopped>) -> Result<Outcome, Error> {
        self.display.end_epoch();
        self.epoch_watch.stop();
        let ended = match result {
            Ok(()) => Ended::Finished,
            Err(Stopped::Early(ended)) => ended,
            Err(Stopped::Failed(Error::Step(StepError::NotFinite { .. }))) => {
                return Err(self.not_finite()?);
            }
            Err(Stopped::Failed(error)) => return Err(error),
        };
        if ended == Ended::Interrupted {
            self.write_checkpoint(false)?;
        }
        if self.job.is_first() {
            self.save_weights()?;
        }
        let test = self.test(ended)?;
        let seconds = self.watch.seconds();
        let outcome = Outcome { ended, epochs: self.epochs.clone(), test, seconds };
        // The first rank alone times the layers and writes the report.
        self.trainer.share_no_more();
        if !self.job.is_first() {
            return Ok(outcome);
        }
        let mut summary = self.summary(&outcome);
        end_without(self.folder.write_summary(&summary));
        summary.top5_accuracy = self.write_report(&outcome, &summary);
        if summary.top5_accuracy.is_some() {
            end_without(self.folder.write_summary(&summary));
        }
        self.console.summary(&outcome, self.n_steps(), self.folder.path());
        Ok(outcome)
    }

    /// Writes the weights, with the record of their training data.
    fn save_weights(&mut self) -> Result<(), Error> {
        let weights = self.trainer.state.weights()?;
        Ok(weights.save(&self.trainer.state.layout, Some(&self.info), &self.folder.model())?)
    }

    /// Writes the page of the run, `report.html`, and returns the top-5 accuracy on it.
    fn write_report(&mut self, outcome: &Outcome, summary: &Summary) -> Option<f64> {
        let (folder, epochs) = (self.folder.path(), &outcome.epochs);
        let Job { recipe, loaded, device, report, .. } = self.job;
        let run = EndedRun { recipe, loaded, device, folder, epochs, summary };
        let (begun, asked) = (Instant::now(), self.stop);
        let stop = || match outcome.ended {
            Ended::Interrupted => begun.elapsed() > PATIENCE,
            _ => asked.load(Ordering::Relaxed),
        };
        let (page, written) = report.write(&run, &mut self.trainer, &stop);
        let (top5, error) = written.map_or_else(|error| (None, Some(error)), |top5| (top5, None));
        self.console.report(&page, error);
        top5
    }

    /// Returns loss and accuracy over the test images at the end; none if the run was interrupted before that
    /// evaluation.
    fn test(&mut self, ended: Ended) -> Result<Option<(f64, f64)>, Error> {
        if self.dataset.validation.is_empty() {
            let last = self.epochs.last();
            return Ok(last.and_then(|last| last.test_loss.zip(last.test_accuracy)));
        }
        if ended == Ended::Interrupted || self.dataset.test.is_empty() {
            return Ok(None);
        }
        let stop = self.stop;
        let tested = self.trainer.evaluate(&self.dataset.test, &|| stop.load(Ordering::Relaxed))?;
        Ok(tested.map(|metrics| (metrics.loss(), metrics.accuracy())))
    }

    /// Returns the contents of `summary.json`. Measures the time of each layer in a training step for it, unless the
    /// run was interrupted.
    fn summary(&mut self, outcome: &Outcome) -> Summary {
        let best = outcome.best();
        let layer_times = match outcome.ended {
            Ended::Interrupted => Vec::new(),
            _ => {
                let images = &self.order[..self.recipe.batch_size];
                // An error in the timing is ignored: the weights are saved already, and the run counts as finished.
                let (asked, train) = (self.stop, &self.dataset.train);
                let stop = || asked.load(Ordering::Relaxed);
                let report = self.job.report;
                report.layer_times(&mut self.trainer, train, images, &stop).unwrap_or_default()
            }
        };
        Summary {
            dataset: self.dataset.name.to_string(),
            device: self.device.clone(),
            began_on: self.began_on.clone(),
            ended: match outcome.ended {
                Ended::Finished => "finished",
                Ended::OutOfPatience => "stopped early",
                Ended::Interrupted => Summary::INTERRUPTED,
            }
            .to_string(),
            n_steps: self.n_steps(),
            seconds: outcome.seconds,
            best_epoch: best.map(|epoch| epoch.epoch),
            best_accuracy: best.map(EpochMetrics::accuracy),
            best_file: best.map(|_| BEST.to_string()),
            best_chosen_on: best.map(|epoch| format!("{} images", epoch.evaluated_on())),
            test_loss: outcome.test.map(|(loss, _)| loss),
            test_accuracy: outcome.test.map(|(_, accuracy)| accuracy),
            top5_accuracy: None,
            layer_times,
            version: env!("CARGO_PKG_VERSION").to_string(),
        }
    }

    /// Ends a run after a step that was not finite, and returns its error. The first rank writes the files; the others wait
    /// for it, since the end of a rank with an error ends all.
    fn not_finite(&mut self) -> Result<Error, Error> {
        self.trainer.share_no_more();
        let error = match self.job.is_first() {
            true => self.dump_non_finite(),
            false => {
                let (epoch, step) = (self.epoch + 1, self.n_steps());
                Ok(StepError::NotFinite { epoch, step }.into())
            }
        };
        if let Some(ranks) = self.job.ranks {
            ranks.barrier();
        }
        error
    }

    /// Ends a run after a step with a NaN or infinite loss or gradient. That step changed nothing, so the device still
    /// has the state from before it. Saves this state, finds the first node with a number that is not finite, and
    /// writes a file to replay the step from. Returns the error of the run.
    fn dump_non_finite(&mut self) -> Result<Error, Error> {
        let Recipe { batch_size, .. } = *self.recipe;
        let counted = self.trainer.state.drop_metrics()?;
        // The metrics do not count the images of the step that was not finite, nor those of steps that were started
        // after it.
        let n_good = counted.n_images as usize / batch_size;
        let step = self.recipe.steps_per_epoch(self.dataset.train.len()) * self.epoch + n_good;
        self.trainer.state.n_steps = step as u64;
        (self.n_batches, self.trained) = (n_good, Some(counted));
        self.save_weights()?;
        self.console.kept(step + 1, &self.folder.model());

        let mut batch = Batch::with_room(batch_size, self.dataset.train.largest_image());
        batch.fill(&self.dataset.train, &self.order[n_good * batch_size..][..batch_size]);
        let mut checkpoint = Checkpoint { batch: Some(batch), ..self.checkpoint()? };
        checkpoint.header.config = self.recipe.with_fixed_weights().to_toml();
        let path = self.folder.path().join(NON_FINITE_DUMP);
        end_without(checkpoint.save(&self.trainer.state.layout, &path));
        let replay = Replay::new(checkpoint, self.recipe.clone());
        let first = match replay.run_on(&mut self.trainer) {
            Ok(nodes) => first_not_finite(&nodes),
            // A replay takes more memory than a training step, so the device may have too little memory for the replay.
            Err(error) => Some(format!("the step could not be run again: {error}")),
        };
        let error = TrainError::NotFiniteAt {
            epoch: self.epoch + 1,
            step: step + 1,
            first: first.unwrap_or_else(|| "the step was finite when it was run again".to_string()),
            file: path,
        };
        Ok(error.into())
    }
}
