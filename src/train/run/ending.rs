//! How a run ends: well, early, or at a step that was not finite; and what it leaves then.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::{Ended, EndedRun, Outcome, Run, Stopped};
use crate::data::batches::Batch;
use crate::error::Error;
use crate::train::checkpoint::Checkpoint;
use crate::train::folder::{ACCIDENT, BEST, Summary};
use crate::train::replay::{Replay, first_not_finite};
use crate::train::{EpochMetrics, Recipe, parts, screen};

/// The time that the page of an interrupted run may take to evaluate images.
const PATIENCE: Duration = Duration::from_secs(20);

impl Run<'_> {
    /// Leaves what there is in the folder, and says what it is.
    pub(super) fn finish(&mut self, result: Result<(), Stopped>) -> Result<Outcome, Error> {
        self.display.end_epoch();
        self.epoch_watch.stop();
        let ended = match result {
            Ok(()) => Ended::Finished,
            Err(Stopped::Early(ended)) => ended,
            Err(Stopped::Failed(Error::NotFinite { .. })) => return Err(self.accident()?),
            Err(Stopped::Failed(error)) => return Err(error),
        };
        if ended == Ended::Interrupted {
            self.write_checkpoint()?;
        }
        self.trainer.save(&self.info, &self.folder.model())?;
        let test = self.test(ended)?;
        let seconds = self.watch.seconds();
        let outcome = Outcome { ended, epochs: self.epochs.clone(), test, seconds };
        let summary = self.summary(&outcome);
        end_without(self.folder.write_summary(&summary))?;
        self.write_report(&outcome, &summary);
        self.console.summary(&outcome, self.trainer.n_steps(), self.folder.path());
        Ok(outcome)
    }

    /// The page to look at the run with.
    fn write_report(&mut self, outcome: &Outcome, summary: &Summary) {
        let (job, folder, epochs) = (self.job, self.folder.path(), &outcome.epochs);
        let run = EndedRun { job, folder, epochs, summary };
        let (begun, asked) = (Instant::now(), self.stop);
        let stop = || match outcome.ended {
            Ended::Interrupted => begun.elapsed() > PATIENCE,
            _ => asked.load(Ordering::Relaxed),
        };
        let (page, written) = job.report.write(&run, self.trainer.evaluator(), &stop);
        self.console.report(&page, written.err());
    }

    /// Loss and accuracy over the test images at the end.
    fn test(&mut self, ended: Ended) -> Result<Option<(f64, f64)>, Error> {
        if self.dataset.validation.is_empty() {
            let last = self.epochs.last();
            return Ok(last.and_then(|last| last.test_loss.zip(last.test_accuracy)));
        }
        if ended == Ended::Interrupted {
            return Ok(None);
        }
        let stop = self.stop;
        let tested = self.trainer.evaluate(&self.dataset.test, &|| stop.load(Ordering::Relaxed))?;
        Ok(tested.map(|metrics| (metrics.loss(), metrics.accuracy())))
    }

    fn summary(&mut self, outcome: &Outcome) -> Summary {
        let best = outcome.best();
        let parts = match outcome.ended {
            Ended::Interrupted => Vec::new(),
            _ => {
                let images = &self.order[..self.recipe.batch_size];
                // What was trained is saved already, and worth more than knowing this.
                let (asked, train) = (self.stop, &self.dataset.train);
                let stop = || asked.load(Ordering::Relaxed);
                parts::measure(&mut self.trainer, train, images, &stop).unwrap_or_default()
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
            n_steps: self.trainer.n_steps(),
            seconds: outcome.seconds,
            best_epoch: best.map(|epoch| epoch.epoch),
            best_accuracy: best.map(EpochMetrics::accuracy),
            best_file: best.map(|_| BEST.to_string()),
            best_chosen_on: best.map(|epoch| format!("{} images", epoch.evaluated_on())),
            test_loss: outcome.test.map(|(loss, _)| loss),
            test_accuracy: outcome.test.map(|(_, accuracy)| accuracy),
            parts,
            version: env!("CARGO_PKG_VERSION").to_string(),
        }
    }

    /// After a step that was not finite: the device left the state as it was before it. Saves that, finds
    /// the node that it began at, and leaves a file that shows it again.
    fn accident(&mut self) -> Result<Error, Error> {
        let Recipe { batch_size, .. } = *self.recipe;
        let counted = self.trainer.drop_metrics()?;
        // Steps behind the bad one counted nothing either.
        let n_good = counted.n_images as usize / batch_size;
        let step = self.recipe.steps_per_epoch(self.dataset.train.len()) * self.epoch + n_good;
        self.trainer.set_n_steps(step);
        (self.n_batches, self.trained) = (n_good, Some(counted));
        self.trainer.save(&self.info, &self.folder.model())?;
        self.console.kept(step + 1, &self.folder.model());

        let mut batch = Batch::new(batch_size);
        batch.fill(&self.dataset.train, &self.order[n_good * batch_size..][..batch_size]);
        let checkpoint = Checkpoint { batch: Some(batch), ..self.checkpoint()? };
        let path = self.folder.path().join(ACCIDENT);
        end_without(checkpoint.save(self.trainer.layout(), &path))?;
        let replay = Replay::new(checkpoint, self.recipe.clone());
        let first = match replay.run_on(&mut self.trainer) {
            Ok(nodes) => first_not_finite(&nodes),
            // It takes more memory than the step alone.
            Err(error) => Some(format!("the step could not be run again: {error}")),
        };
        Ok(Error::NotFiniteAt {
            epoch: self.epoch + 1,
            step: step + 1,
            first: first.unwrap_or_else(|| "when run again, the step is finite".to_string()),
            file: path,
        })
    }
}

/// A file that could not be written is told, and is no reason to lose the hours that training took.
/// What else went wrong is.
pub(super) fn go_on_without(written: Result<(), Error>) -> Result<(), Error> {
    tell_of_file(written, "; training goes on")
}

/// [`go_on_without`] when training is over.
fn end_without(written: Result<(), Error>) -> Result<(), Error> {
    tell_of_file(written, "")
}

fn tell_of_file(written: Result<(), Error>, consequence: &str) -> Result<(), Error> {
    match written {
        Err(error @ Error::Io(_)) => {
            screen::note(&format!("warning: {error}{consequence}"));
            Ok(())
        }
        other => other,
    }
}
