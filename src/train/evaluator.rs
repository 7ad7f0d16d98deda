//! Evaluation of given weights: loss, accuracy and logits. There is no training step and no optimizer state.

use std::sync::Arc;

use super::loaded_step::LoadedStep;
use super::step::{self, StepConfig};
use crate::Error;
use crate::data::Split;
use crate::device::{Device, LoadOptions, Session};
use crate::nn::Weights;
use crate::ops::metrics::Metrics;
use crate::tape::{StateBuffer, StateLayout};

/// Weights on a device, and the evaluation step.
pub struct Evaluator {
    pub(super) session: Box<dyn Session>,
    pub(super) evaluation: LoadedStep,
}

impl Evaluator {
    /// Compiles the evaluation step. The weights are zero until [`Evaluator::set_weights`].
    ///
    /// # Errors
    /// If the step exceeds a limit of the device, or the device fails.
    pub fn new(device: &Device, config: &StepConfig) -> Result<Self, Error> {
        let mut config = config.clone();
        // The caller gives the weights to evaluate, averaged or not. The step keeps no average of its own.
        config.update.ema = None;
        config.update.n_shards = 1;
        config.cache_features = false;
        let mut step = step::evaluation(&config);
        Arc::make_mut(&mut step.tape).inference_only();
        let mut session = device.session(step.tape.state())?;
        let options = LoadOptions::default();
        let evaluation = LoadedStep::load(&mut *session, &config, step, options)?;
        Ok(Self { session, evaluation })
    }

    /// Returns the names, shapes and offsets of the parameters and running statistics.
    pub fn layout(&self) -> &StateLayout {
        self.evaluation.tape().state()
    }

    /// Writes the weights to the device.
    ///
    /// # Errors
    /// If the device fails.
    pub fn set_weights(&mut self, weights: &Weights) -> Result<(), Error> {
        self.session.write_state(StateBuffer::Parameters, &weights.parameters)?;
        Ok(self.session.write_state(StateBuffer::RunningStatistics, &weights.running_statistics)?)
    }

    /// Returns loss and accuracy over every image of a split; none if `stop` returned true before the end.
    ///
    /// # Errors
    /// If the device fails.
    pub fn evaluate(
        &mut self,
        split: &Split,
        stop: &dyn Fn() -> bool,
    ) -> Result<Option<Metrics>, Error> {
        let zeros = vec![0.0; self.layout().n_elements(StateBuffer::Metrics)];
        self.session.write_state(StateBuffer::Metrics, &zeros)?;
        let session = &mut *self.session;
        if !self.evaluation.evaluate(session, split.into(), stop, |_, _, _| Ok(()))? {
            return Ok(None);
        }
        Ok(Some(Metrics::from_slice(&self.session.read_state(StateBuffer::Metrics)?)))
    }

    /// Returns the logits of every image of a split, in order, `[n, classes]`; none if `stop` returned true before the
    /// end. [`Predictions::from_logits`](super::Predictions::from_logits) turns logits into probabilities.
    ///
    /// # Errors
    /// If the device fails. [`StepError::LogitsNotFinite`](super::StepError::LogitsNotFinite) if a logit is NaN or
    /// infinite, since such logits give no prediction.
    pub fn logits(
        &mut self,
        split: &Split,
        stop: &dyn Fn() -> bool,
    ) -> Result<Option<Vec<f32>>, Error> {
        self.evaluation.logits(&mut *self.session, split.into(), stop)
    }
}
