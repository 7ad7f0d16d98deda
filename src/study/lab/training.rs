//! Short training runs.

use wgrad::Error;
use wgrad::data::batches;
use wgrad::nn::NetworkConfig;
use wgrad::nn::networks::DEFAULT;
use wgrad::ops::optimizer::WeightDecay;
use wgrad::ops::optimizers::AnyOptimizer;
use wgrad::ops::sgd::Sgd;
use wgrad::train::schedule::{OneCycle, Schedule};
use wgrad::train::step::StepConfig;
use wgrad::train::{StepError, Trainer};

use super::{Lab, Stopped};

/// The largest number of test images on which a run is measured before its end.
const N_SAMPLE: usize = 1000;

/// The number of test images on which a tiny run is measured.
const N_TINY: usize = 20;

/// The settings of a training run of a study.
pub struct Training {
    /// The network, the batch size, the augmentation, the loss and the optimizer.
    pub step: StepConfig,
    /// The learning rate of each step.
    pub schedule: Box<dyn Schedule>,
    /// The number of training images, from the first on; at most all of them.
    pub n_images: usize,
    /// The number of steps. An epoch has as many as there are whole batches in the images.
    pub n_steps: usize,
    /// The number of steps between two measurements.
    pub every: usize,
    /// The seed of the initial weights, the order of the images and the augmentation.
    pub seed: u64,
}

/// The errors of a training run: fractions of 1, after every [`Training::every`] steps and at the end.
#[derive(Clone, Default, PartialEq, Debug)]
pub struct Curve {
    /// The number of steps before each measurement.
    pub steps: Vec<f64>,
    /// The mean error over the training images of the steps since the measurement before.
    pub train_error: Vec<f64>,
    /// The mean loss over the same images.
    pub train_loss: Vec<f64>,
    /// The error over the first 1,000 test images; at the end, over all of them.
    pub test_error: Vec<f64>,
    /// True if a loss or gradient was not finite. The errors after it are those of a guess, and the losses are infinite.
    pub diverged: bool,
}

impl Curve {
    /// Returns the test error at the end.
    pub fn last_test_error(&self) -> f64 {
        self.test_error.last().copied().unwrap_or(f64::NAN)
    }

    /// Returns the curve as measurements of a record.
    pub fn measurements(self) -> Vec<(&'static str, Vec<f64>)> {
        vec![
            ("steps", self.steps),
            ("training error", self.train_error),
            ("training loss", self.train_loss),
            ("test error", self.test_error),
        ]
    }
}

impl Training {
    /// Returns a run with SGD of momentum 0.9 and weight decay 1e-4, and one cycle of the learning rate up to `max_lr`,
    /// which takes 30% of the steps to rise. The images, at most 5,000 without `--full`, are cropped and flipped. There
    /// are eight measurements.
    pub fn new(lab: &Lab<'_>, mut step: StepConfig, n_steps: usize, max_lr: f64) -> Self {
        let n_images = lab.images.train().len().min(lab.size([40, 5000, usize::MAX]));
        step.augmentation.cutout = false;
        step.update.optimizer = AnyOptimizer::Sgd(Sgd {
            momentum: 0.9,
            nesterov: false,
            weight_decay: WeightDecay::of_all(1e-4),
        });
        let schedule = Box::new(OneCycle { pct_start: 0.3, ..OneCycle::linear(max_lr, n_steps) });
        let every = n_steps.div_ceil(8).max(1);
        Self { step, schedule, n_images, n_steps, every, seed: lab.seed() }
    }

    /// Returns a run with the optimizer and the schedule that `wgrad train` has by default: Adam, and one cycle of the
    /// learning rate up to `max_lr`, which takes 5 of 24 steps to rise. The network is that of the flag `--network`, else
    /// ResNet-9. The images, at most `n_images`, are cropped and flipped. There are six measurements.
    pub fn adam(lab: &Lab<'_>, n_images: usize, n_steps: usize, max_lr: f64) -> Self {
        let network = lab.network.unwrap_or(DEFAULT);
        let width = lab.width(lab.size([2, 8, 64]));
        let network = NetworkConfig::new(network, width, lab.images.n_classes());
        let mut step = lab.images.step(network, lab.size([8, 64, 512]));
        step.augmentation.cutout = false;
        let n_images = lab.images.train().len().min(n_images);
        let schedule = Box::new(OneCycle::linear(max_lr, n_steps));
        let every = n_steps.div_ceil(6).max(1);
        Self { step, schedule, n_images, n_steps, every, seed: lab.seed() }
    }

    /// Returns the number of steps in an epoch.
    ///
    /// # Errors
    /// If there are fewer training images than a step has.
    pub fn n_batches(&self) -> anyhow::Result<usize> {
        let Self { n_images, step: StepConfig { batch_size, .. }, .. } = self;
        let few = "a step of this study has more images; take a larger dataset";
        anyhow::ensure!(n_images >= batch_size, "{n_images} training images: {few}");
        Ok(n_images / batch_size)
    }

    /// Trains. Returns the trainer with the trained weights, and the errors.
    ///
    /// # Errors
    /// [`Stopped`] if a signal has arrived. If there are fewer images than a step has, or the device fails.
    pub fn run(&self, lab: &Lab<'_>) -> anyhow::Result<(Trainer, Curve)> {
        self.run_from(lab, |_| Ok(()))
    }

    /// Trains from other weights than the initial ones: `prepare` writes them. Returns the same as [`Training::run`].
    ///
    /// # Errors
    /// As for [`Training::run`], and those of `prepare`.
    pub fn run_from(
        &self,
        lab: &Lab<'_>,
        prepare: impl FnOnce(&mut Trainer) -> anyhow::Result<()>,
    ) -> anyhow::Result<(Trainer, Curve)> {
        let mut trainer = Trainer::new(lab.device, &self.step, self.seed)?;
        prepare(&mut trainer)?;
        let curve = self.run_with(lab, &mut trainer)?;
        Ok((trainer, curve))
    }

    /// Trains the network of a trainer, and returns the errors.
    ///
    /// # Errors
    /// As for [`Training::run`].
    fn run_with(&self, lab: &Lab<'_>, trainer: &mut Trainer) -> anyhow::Result<Curve> {
        let train = lab.images.train();
        let (batch_size, n_batches) = (self.step.batch_size, self.n_batches()?);
        let (mut curve, mut order) = (Curve::default(), Vec::new());
        for step in 0..self.n_steps {
            lab.report(step, self.n_steps)?;
            let epoch = step / n_batches;
            if step % n_batches == 0 {
                order = batches::epoch_order(self.seed, epoch as u64, self.n_images);
            }
            if !curve.diverged {
                let images = &order[step % n_batches * batch_size..][..batch_size];
                trainer.step(train, images, epoch, self.schedule.rate(step))?;
            }
            if (step + 1) % self.every == 0 || step + 1 == self.n_steps {
                self.measure(lab, trainer, step + 1, &mut curve)?;
            }
        }
        Ok(curve)
    }

    fn measure(
        &self,
        lab: &Lab<'_>,
        trainer: &mut Trainer,
        n_steps: usize,
        curve: &mut Curve,
    ) -> anyhow::Result<()> {
        let measured = if curve.diverged { None } else { finite(trainer.state.take_metrics())? };
        curve.diverged = measured.is_none();
        let guess = 1.0 - 1.0 / lab.images.n_classes() as f64;
        curve.steps.push(n_steps as f64);
        curve.train_error.push(measured.map_or(guess, |metrics| 1.0 - metrics.accuracy()));
        curve.train_loss.push(measured.map_or(f64::INFINITY, |metrics| metrics.loss()));
        let test = lab.images.test();
        let is_last = n_steps == self.n_steps;
        let all = lab.size([N_TINY, test.len(), test.len()]);
        let n = test.len().min(if is_last { all } else { all.min(N_SAMPLE) });
        curve.test_error.push(match curve.diverged {
            true => guess,
            false => {
                let images = test.select(&batches::in_order(n));
                let metrics = trainer.evaluate(&images, &|| lab.is_stopped())?;
                1.0 - metrics.ok_or(Stopped)?.accuracy()
            }
        });
        Ok(())
    }
}

/// Returns the value of a step; none if a loss or gradient was not finite.
fn finite<T>(result: Result<T, Error>) -> Result<Option<T>, Error> {
    match result {
        Err(Error::Step(StepError::NotFinite { .. })) => Ok(None),
        other => other.map(Some),
    }
}
