//! Training on the images of a dataset: the training state, and the steps that are loaded into its session.

use super::TrainState;
use super::loaded_step::LoadedStep;
use super::step::{self, StepConfig};
use crate::Error;
use crate::data::Split;
use crate::device::{Device, LoadOptions, NodeTimes};
use crate::nn::Weights;
use crate::ops::metrics::Metrics;
use crate::passes::{Plan, PlanOptions};
use crate::tape::{StateBuffer, Tape};

/// The largest number of batches that [`Trainer::update_statistics`] averages over. With 32 batches the random error of
/// the mean is smaller than the change of the statistics in one step of training.
const STATISTICS_BATCHES: usize = 32;

/// A network that is trained on pixels, which the device augments.
pub struct Trainer {
    /// The training state, from which the caller reads metrics, weights and snapshots.
    pub state: TrainState,
    training: LoadedStep,
    evaluation: LoadedStep,
    /// The step that measures running statistics for averaged weights; none if no weights are averaged.
    statistics: Option<LoadedStep>,
}

impl Trainer {
    /// Checks the steps of a trainer with these settings against the limits of a device. Compiles and allocates
    /// nothing.
    ///
    /// # Errors
    /// As for [`Device::check`].
    pub fn check(device: &Device, config: &StepConfig) -> Result<(), Error> {
        let statistics = config.update.ema.map(|_| step::statistics(config));
        let steps = [Some(step::training(config)), Some(step::evaluation(config)), statistics];
        let (mut in_use, mut slots) = (0, Vec::new());
        for step in steps.into_iter().flatten() {
            let plan =
                Plan::new(&step.tape, PlanOptions { slots: &slots, ..PlanOptions::default() });
            device.check(&plan, in_use)?;
            in_use += plan.own_bytes();
            slots = plan.slots();
        }
        Ok(())
    }

    /// Compiles the steps and initialises the weights. `seed` determines the weights and every random draw.
    ///
    /// # Errors
    /// If a step exceeds a limit of the device, or the device fails.
    pub fn new(device: &Device, config: &StepConfig, seed: u64) -> Result<Self, Error> {
        let training = step::training(config);
        let layout = training.tape.state();
        let mut state = TrainState::new(device, layout, config.update.optimizer, seed)?;
        let mut load =
            |step| LoadedStep::load(&mut *state.session, config, step, LoadOptions::default());
        // The largest step is loaded first. If its plan exceeds a limit, the error comes before a step allocates
        // memory.
        let training = load(training)?;
        let evaluation = load(step::evaluation(config))?;
        let statistics = config.update.ema.map(|_| load(step::statistics(config))).transpose()?;
        // The weights are initialised after all plans were accepted, since the host's copy of the weights takes memory
        // too.
        let initial = Weights::initial(&state.layout, seed);
        state.set_weights(&initial)?;
        Ok(Self { state, training, evaluation, statistics })
    }

    /// Runs every step once on a batch without images, because some drivers compile a kernel when it first runs. The
    /// training state does not change.
    ///
    /// # Errors
    /// If the device fails.
    pub fn warm_up(&mut self) -> Result<(), Error> {
        let Self { state, training, evaluation, statistics } = self;
        state.hold()?;
        for step in [Some(training), statistics.as_mut(), Some(evaluation)].into_iter().flatten() {
            step.write_padding(&mut *state.session)?;
            state.run(step.id)?;
        }
        state.drop_metrics().map(|_| ())
    }

    /// Runs a training step on the images of `split` whose numbers are in `images`. May return before the device has
    /// finished.
    ///
    /// `epoch`, from 0, seeds the augmentation together with each image's number.
    ///
    /// # Errors
    /// If the device fails.
    pub fn step(
        &mut self,
        split: &Split,
        images: &[u32],
        epoch: usize,
        lr: f64,
    ) -> Result<(), Error> {
        self.state.epoch = epoch;
        self.training.write(&mut *self.state.session, split, images)?;
        self.state.train_step(self.training.id, lr)
    }

    /// Runs a training step as [`Trainer::step`] does, with the same bits. Measures the time of every node of
    /// [`Trainer::tape`], and waits until the step has finished.
    ///
    /// # Errors
    /// If the device fails.
    pub fn timed_step(
        &mut self,
        split: &Split,
        images: &[u32],
        epoch: usize,
        lr: f64,
    ) -> Result<NodeTimes, Error> {
        self.state.epoch = epoch;
        self.training.write(&mut *self.state.session, split, images)?;
        self.state.timed_step(self.training.id, lr)
    }

    /// Returns loss and accuracy over every image of a split; none if `stop` returned true before the end.
    ///
    /// # Errors
    /// If the device fails. [`StepError::NotFinite`](super::StepError::NotFinite) if a loss or gradient of an earlier
    /// training step was not finite.
    pub fn evaluate(
        &mut self,
        split: &Split,
        stop: &dyn Fn() -> bool,
    ) -> Result<Option<Metrics>, Error> {
        self.state.take_metrics()?;
        let session = &mut *self.state.session;
        match self.evaluation.evaluate(session, split, stop, |_, _, _| Ok(()))? {
            true => self.state.take_metrics().map(Some),
            false => Ok(None),
        }
    }

    /// Returns the logits of every image of a split, in order, `[n, classes]`; none if `stop` returned true before the
    /// end. The metrics of earlier steps are lost, unless [`TrainState::take_metrics`] has returned them before this
    /// call.
    ///
    /// # Errors
    /// If the device fails. [`StepError::LogitsNotFinite`](super::StepError::LogitsNotFinite) if a logit is NaN or
    /// infinite.
    pub fn logits(
        &mut self,
        split: &Split,
        stop: &dyn Fn() -> bool,
    ) -> Result<Option<Vec<f32>>, Error> {
        let logits = self.evaluation.logits(&mut *self.state.session, split, stop)?;
        self.state.drop_metrics()?;
        Ok(logits)
    }

    /// Measures the running statistics for the averaged weights, like `torch.optim.swa_utils.update_bn`: the mean over
    /// several batches of augmented images. The running statistics after training belong to the trained weights, not to
    /// their average. `images` are numbers of images in `split`. Does nothing if no weights are averaged.
    ///
    /// `epoch`, from 0, seeds the augmentation together with each image's number.
    ///
    /// Returns false, and changes nothing, if `stop` returned true before the end.
    ///
    /// # Errors
    /// If the device fails.
    pub fn update_statistics(
        &mut self,
        split: &Split,
        images: &[u32],
        epoch: usize,
        stop: &dyn Fn() -> bool,
    ) -> Result<bool, Error> {
        let Self { state, statistics: Some(step), .. } = self else { return Ok(true) };
        state.epoch = epoch;
        let mut sums = vec![0.0; state.layout.n_elements(StateBuffer::RunningStatistics)];
        let batches = images.chunks_exact(step.batch_size()).take(STATISTICS_BATCHES);
        let n_batches = batches.len();
        for images in batches {
            if stop() {
                return Ok(false);
            }
            step.write(&mut *state.session, split, images)?;
            state.run(step.id)?;
            let of_batch = state.session.read_state(StateBuffer::BatchStatistics)?;
            sums.iter_mut().zip(of_batch).for_each(|(sum, value)| *sum += f64::from(value));
        }
        if n_batches > 0 {
            let means: Vec<f32> = sums.iter().map(|sum| (sum / n_batches as f64) as f32).collect();
            state.session.write_state(StateBuffer::RunningStatistics, &means)?;
        }
        Ok(true)
    }

    /// Returns the training step as it was recorded.
    pub fn tape(&self) -> &Tape {
        self.training.tape()
    }

    /// Returns the number of images in a step.
    pub fn batch_size(&self) -> usize {
        self.training.batch_size()
    }

    /// Returns the bytes that the state and all steps take on the device.
    pub fn planned_bytes(&self) -> u64 {
        let plan = |step: &LoadedStep| self.state.session.plan(step.id);
        let others = [Some(&self.evaluation), self.statistics.as_ref()].into_iter().flatten();
        plan(&self.training).total_bytes() + others.map(|step| plan(step).own_bytes()).sum::<u64>()
    }
}
