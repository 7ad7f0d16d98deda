//! A network on a device, trained: stepped, evaluated, saved.

use std::path::Path;

use super::evaluator::{Evaluator, Program};
use super::step::{self, StepConfig};
use crate::data::Split;
use crate::device::{Device, Session, StepScalars};
use crate::error::Error;
use crate::nn::Weights;
use crate::ops::metrics::Metrics;
use crate::tape::StateLayout;

/// A network that is trained.
pub struct Trainer {
    evaluator: Evaluator,
    training: Program,
    config: StepConfig,
    seed: u64,
    n_steps: usize,
}

impl Trainer {
    /// Compiles both steps, and starts the network and all that is random from `seed`.
    ///
    /// # Errors
    /// When a step passes a limit of the device, or the device fails.
    pub fn new(device: &Device, config: &StepConfig, seed: u64) -> Result<Self, Error> {
        let training = step::training(config);
        let mut session = device.session(training.tape.state())?;
        // The larger one first: a plan that passes a limit is refused before anything is allocated.
        let training = Program::load(&mut *session, training)?;
        let mut evaluator = Evaluator::in_session(session, step::evaluation(config))?;
        evaluator.set_weights(&Weights::initial(evaluator.layout(), seed))?;
        Ok(Self { evaluator, training, config: *config, seed, n_steps: 0 })
    }

    /// Runs both steps once, on no images and without an effect: some drivers compile a kernel when it
    /// first runs.
    ///
    /// # Errors
    /// When the device fails.
    pub fn warm_up(&mut self) -> Result<(), Error> {
        self.evaluator.warm_up(&mut self.training)
    }

    /// One training step on those images of a split. May return before the device is done.
    ///
    /// `epoch`, from 0, seeds the augmentation together with each image's number.
    ///
    /// # Errors
    /// When the device fails.
    pub fn step(
        &mut self,
        split: &Split,
        images: &[u32],
        epoch: usize,
        lr: f64,
    ) -> Result<(), Error> {
        self.n_steps += 1;
        let (step_size, inv_sqrt_bias_correction2) =
            self.config.objective.adam.scalars(lr, self.n_steps as u64);
        let scalars = StepScalars {
            seed: [self.seed as u32, (self.seed >> 32) as u32],
            epoch: epoch as u32,
            step_size,
            inv_sqrt_bias_correction2,
            ..StepScalars::default()
        };
        self.training.run(&mut *self.evaluator.session, split, images, &scalars)
    }

    /// The steps so far.
    pub fn n_steps(&self) -> usize {
        self.n_steps
    }

    /// Asks for the metrics as they are after the steps so far, for [`Trainer::late_metrics`].
    ///
    /// # Errors
    /// When the device fails.
    pub fn request_metrics(&mut self) -> Result<(), Error> {
        self.evaluator.session.request_metrics()
    }

    /// The latest metrics that were asked for and have arrived, once; never waits.
    ///
    /// # Errors
    /// When the device fails.
    pub fn late_metrics(&mut self) -> Result<Option<Metrics>, Error> {
        let values = self.evaluator.session.poll_metrics()?;
        Ok(values.map(|values| Metrics::from_slice(&values)))
    }

    /// Waits for the steps so far, and returns their metrics since the last call or evaluation.
    ///
    /// # Errors
    /// When the device fails.
    pub fn take_metrics(&mut self) -> Result<Metrics, Error> {
        self.evaluator.take_metrics()
    }

    /// See [`Evaluator::evaluate`].
    ///
    /// # Errors
    /// When the device fails.
    pub fn evaluate(
        &mut self,
        split: &Split,
        stop: &dyn Fn() -> bool,
    ) -> Result<Option<Metrics>, Error> {
        self.evaluator.evaluate(split, stop)
    }

    /// The weights after the steps so far.
    ///
    /// # Errors
    /// When the device fails.
    pub fn weights(&mut self) -> Result<Weights, Error> {
        Weights::from_session(&mut *self.evaluator.session, self.n_steps as u64)
    }

    /// The parameters and statistics of the network.
    pub fn layout(&self) -> &StateLayout {
        self.evaluator.layout()
    }

    /// Bytes that the state and both steps need on the device.
    pub fn planned_bytes(&self) -> u64 {
        let training = self.evaluator.session.plan(self.training.id);
        training.total_bytes() + self.evaluator.own_bytes()
    }

    /// The session, for reading and writing other parts of the state.
    pub fn session(&mut self) -> &mut dyn Session {
        &mut *self.evaluator.session
    }

    /// Writes the weights to a file, whole or not at all.
    ///
    /// # Errors
    /// When the device fails, or the file cannot be written.
    pub fn save(&mut self, path: &Path) -> Result<(), Error> {
        self.weights()?.save(self.layout(), path)
    }
}
