//! A run: dataset, schedule, network, epochs, table.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::display::{Display, RunFacts};
use super::metrics::{EpochMetrics, best};
use super::recipe::Recipe;
use super::report::Report;
use super::{RunFolder, Trainer};
use crate::data::{Loaded, Split, batches};
use crate::device::Device;
use crate::error::Error;
use crate::ops::metrics::Metrics;
use crate::optim::OneCycle;
use crate::tape::print::readable_bytes;

/// How a run came to its end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    /// After its last epoch.
    Finished,
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
    /// The time from its first step to its end, evaluation included.
    pub seconds: f64,
}

impl Outcome {
    /// The epoch with the best test accuracy; none before the first is over.
    pub fn best(&self) -> Option<&EpochMetrics> {
        best(&self.epochs)
    }
}

/// Trains as the recipe says, prints how it goes, and leaves the results in the folder.
///
/// When `stop` becomes true, the run ends after the step it is in, and leaves what it has.
///
/// # Errors
/// When a step passes a limit of the device, the device fails, a loss or gradient is not finite (the
/// weights from before that are left in the folder), the loss of the test images is not finite (the
/// folder keeps the weights of the epoch before), or the folder cannot be written. A run that fails
/// before its first step leaves no folder.
pub fn run(
    recipe: &Recipe,
    loaded: &Loaded,
    device: &Device,
    folder: &mut RunFolder,
    display: &mut dyn Display,
    stop: &AtomicBool,
) -> Result<Outcome, Error> {
    let (train, test) = (&loaded.dataset.train, &loaded.dataset.test);
    let report = Report::new(recipe, loaded, device);
    report.dataset();
    let schedule = recipe.schedule(train.len());
    let begun = Instant::now();
    // Before minutes of compiling: a folder that cannot be written is better found out now.
    folder.create(recipe)?;
    let mut trainer = ready_trainer(recipe, device).inspect_err(|_| folder.remove())?;
    if matches!(device, Device::Gpu(_)) {
        report.compiled(begun.elapsed().as_secs_f64());
    }
    report.network(&trainer, folder.path());

    display.begin(&RunFacts {
        device: device.name(),
        memory: readable_bytes(trainer.planned_bytes()),
        folder: folder.path().display().to_string(),
        n_epochs: recipe.epochs,
        n_steps: recipe.steps_per_epoch(train.len()),
    });
    let mut epochs = Vec::with_capacity(recipe.epochs);
    let begun = Instant::now();
    let result = (0..recipe.epochs).try_for_each(|epoch| {
        display.begin_epoch(epoch, 0);
        let trained = train_epoch(&mut trainer, recipe, train, &schedule, epoch, display, stop)?;
        display.begin_evaluation();
        let line = evaluate_epoch(&mut trainer, test, trained, stop)?;
        display.end_epoch();
        trainer.save(&folder.model())?;
        folder.append(&line)?;
        report.epoch(&line);
        display.epoch(&line);
        epochs.push(line);
        Ok(())
    });
    display.end_epoch();

    let ended = match result {
        Ok(()) => Ended::Finished,
        Err(Stopped::Interrupted) => {
            trainer.save(&folder.model())?;
            Ended::Interrupted
        }
        Err(Stopped::Failed(error @ Error::NotFinite { .. })) => {
            // The device left the state as it was before the accident.
            trainer.save(&folder.model())?;
            report.kept(&folder.model());
            return Err(error);
        }
        Err(Stopped::Failed(error)) => return Err(error),
    };
    let outcome = Outcome { ended, epochs, seconds: begun.elapsed().as_secs_f64() };
    report.summary(&outcome, trainer.n_steps(), folder.path());
    Ok(outcome)
}

/// A trainer whose first step takes no longer than the others.
fn ready_trainer(recipe: &Recipe, device: &Device) -> Result<Trainer, Error> {
    let mut trainer = Trainer::new(device, &recipe.step(), recipe.seed)?;
    if matches!(device, Device::Gpu(_)) {
        trainer.warm_up()?;
    }
    Ok(trainer)
}

/// Why an epoch did not come to its end.
enum Stopped {
    Interrupted,
    Failed(Error),
}

impl From<Error> for Stopped {
    fn from(error: Error) -> Self {
        Stopped::Failed(error)
    }
}

/// What is known of an epoch before it is evaluated.
struct Trained {
    epoch: usize,
    lr: f64,
    metrics: Metrics,
    seconds: f64,
    images_per_s: f64,
}

fn train_epoch(
    trainer: &mut Trainer,
    recipe: &Recipe,
    train: &Split,
    schedule: &OneCycle,
    epoch: usize,
    display: &mut dyn Display,
    stop: &AtomicBool,
) -> Result<Trained, Stopped> {
    let begun = Instant::now();
    let order = batches::epoch_order(recipe.seed, epoch as u64, train.len());
    let mut n_images = 0;
    let mut lr = 0.0;
    for images in batches::whole_batches(&order, recipe.batch_size) {
        lr = schedule.rate(trainer.n_steps());
        if display.wants_times() {
            let times = trainer.timed_step(train, images, epoch, lr)?;
            display.times(trainer.tape(), &times);
        } else {
            trainer.step(train, images, epoch, lr)?;
        }
        n_images += images.len();
        // What is shown is a little old: nothing waits for it.
        if let Some(metrics) = trainer.late_metrics()? {
            display.metrics(&metrics);
        }
        if display.step(n_images, lr) {
            trainer.request_metrics()?;
        }
        if stop.load(Ordering::Relaxed) {
            return Err(Stopped::Interrupted);
        }
    }
    let metrics = trainer.take_metrics()?;
    let seconds = begun.elapsed().as_secs_f64();
    Ok(Trained { epoch, lr, metrics, seconds, images_per_s: n_images as f64 / seconds })
}

fn evaluate_epoch(
    trainer: &mut Trainer,
    test: &Split,
    trained: Trained,
    stop: &AtomicBool,
) -> Result<EpochMetrics, Stopped> {
    let begun = Instant::now();
    let tested = trainer.evaluate(test, &|| stop.load(Ordering::Relaxed))?;
    let tested = tested.ok_or(Stopped::Interrupted)?;
    if !tested.loss().is_finite() {
        // Not `NotFinite`, after which the weights are saved: these are of no use.
        return Err(Stopped::Failed(Error::Config(format!(
            "the loss of the test images is not finite after epoch {}: the weights have grown too \
             large; use a smaller --max-lr",
            trained.epoch + 1
        ))));
    }
    Ok(EpochMetrics {
        epoch: trained.epoch + 1,
        lr: trained.lr,
        train_loss: trained.metrics.loss(),
        train_accuracy: trained.metrics.accuracy(),
        test_loss: tested.loss(),
        test_accuracy: tested.accuracy(),
        seconds: trained.seconds,
        eval_seconds: begun.elapsed().as_secs_f64(),
        images_per_s: trained.images_per_s,
    })
}
