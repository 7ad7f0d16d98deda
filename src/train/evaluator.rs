//! A network on a device, evaluated.

use super::step::{self, Step, StepConfig};
use crate::data::Split;
use crate::data::batches::{self, Batch};
use crate::device::{Device, LoadOptions, ProgramId};
use crate::error::Error;
use crate::nn::{Learner, Weights};
use crate::ops::metrics::Metrics;
use crate::tape::StateLayout;

/// A recorded step, compiled, with the batch that feeds it.
pub(super) struct Program {
    pub(super) id: ProgramId,
    pub(super) step: Step,
    batch: Batch,
}

impl Program {
    pub(super) fn load(
        learner: &mut Learner,
        config: &StepConfig,
        step: Step,
        options: LoadOptions,
    ) -> Result<Self, Error> {
        let id = learner.load(&step.tape, options)?;
        let batch_size = step.tape.shape(step.labels)[0];
        learner.session().write(id, step.table, &config.table())?;
        Ok(Self { id, step, batch: Batch::new(batch_size) })
    }

    /// Images in a step.
    pub(super) fn batch_size(&self) -> usize {
        self.batch.size()
    }

    /// The classes that the network tells apart.
    fn n_classes(&self) -> usize {
        self.step.tape.shape(self.step.logits)[1]
    }

    /// Writes the inputs: those images of a split. Rows that are left over do not count.
    pub(super) fn write(
        &mut self,
        learner: &mut Learner,
        split: &Split,
        images: &[u32],
    ) -> Result<(), Error> {
        self.batch.fill(split, images);
        self.write_batch(learner, &self.batch)
    }

    /// Writes the inputs: a batch that is there already.
    pub(super) fn write_batch(&self, learner: &mut Learner, batch: &Batch) -> Result<(), Error> {
        let session = learner.session();
        session.write_words(self.id, self.step.pixels, &batch.pixels)?;
        session.write_words(self.id, self.step.labels, &batch.labels)?;
        match self.step.indices {
            Some(indices) => session.write_words(self.id, indices, &batch.indices),
            None => Ok(()),
        }
    }
}

/// A network that is evaluated: its weights on a device, and the evaluation step.
pub struct Evaluator {
    pub(super) learner: Learner,
    pub(super) evaluation: Program,
}

impl Evaluator {
    /// Compiles the evaluation step. The weights are zero until [`Evaluator::set_weights`].
    ///
    /// # Errors
    /// When the step passes a limit of the device, or the device fails.
    pub fn new(device: &Device, config: &StepConfig) -> Result<Self, Error> {
        let step = step::evaluation(config);
        let adam = config.objective.adam;
        let mut learner = Learner::new(device, step.tape.state(), adam, 0)?;
        let evaluation = Program::load(&mut learner, config, step, LoadOptions::default())?;
        Ok(Self { learner, evaluation })
    }

    /// The parameters and statistics of the network.
    pub fn layout(&self) -> &StateLayout {
        self.learner.layout()
    }

    /// Puts weights on the device.
    ///
    /// # Errors
    /// When the device fails.
    pub fn set_weights(&mut self, weights: &Weights) -> Result<(), Error> {
        self.learner.set_weights(weights)
    }

    /// The weights on the device.
    ///
    /// # Errors
    /// When the device fails.
    pub fn weights(&mut self) -> Result<Weights, Error> {
        self.learner.weights()
    }

    /// Loss and accuracy over every image of a split, in order; none when `stop` said so on the way.
    ///
    /// # Errors
    /// When the device fails.
    pub fn evaluate(
        &mut self,
        split: &Split,
        stop: &dyn Fn() -> bool,
    ) -> Result<Option<Metrics>, Error> {
        self.learner.take_metrics()?;
        let order = batches::in_order(split.len());
        for images in batches::all_batches(&order, self.evaluation.batch.size()) {
            if stop() {
                return Ok(None);
            }
            self.run(split, images)?;
        }
        self.learner.take_metrics().map(Some)
    }

    /// The logits of every image of a split, in order, `[n, classes]`; none when `stop` said so on the
    /// way. For [`Predictions::from_logits`](super::Predictions::from_logits).
    ///
    /// Metrics that nobody has taken are lost.
    ///
    /// # Errors
    /// When the device fails; [`Error::LogitsNotFinite`] when a logit is NaN or infinite, which no class can be
    /// read from.
    pub fn logits(
        &mut self,
        split: &Split,
        stop: &dyn Fn() -> bool,
    ) -> Result<Option<Vec<f32>>, Error> {
        let n_classes = self.evaluation.n_classes();
        let mut all = Vec::with_capacity(split.len() * n_classes);
        let order = batches::in_order(split.len());
        for images in batches::all_batches(&order, self.evaluation.batch.size()) {
            if stop() {
                return Ok(None);
            }
            self.run(split, images)?;
            let Program { id, step, .. } = &self.evaluation;
            let logits = self.learner.session().read(*id, step.logits)?;
            // The rows behind those of the images are padding.
            let logits = &logits[..images.len() * n_classes];
            if let Some(at) = logits.iter().position(|logit| !logit.is_finite()) {
                let image = images[at / n_classes] as usize;
                return Err(Error::LogitsNotFinite { image, value: logits[at] });
            }
            all.extend_from_slice(logits);
        }
        self.learner.drop_metrics()?;
        Ok(Some(all))
    }

    /// Runs the evaluation step on those images.
    pub(super) fn run(&mut self, split: &Split, images: &[u32]) -> Result<(), Error> {
        self.evaluation.write(&mut self.learner, split, images)?;
        self.learner.run(self.evaluation.id)
    }
}
