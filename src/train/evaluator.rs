//! A network on a device, evaluated.

use super::recipe::{MEAN, STANDARD_DEVIATION};
use super::step::{self, Step, StepConfig};
use crate::data::Split;
use crate::data::batches::{self, Batch};
use crate::device::{Device, LoadOptions, ProgramId, Session, StepScalars};
use crate::error::Error;
use crate::nn::Weights;
use crate::ops::augment;
use crate::ops::metrics::{Metrics, NOT_FINITE};
use crate::tape::{Group, StateLayout};

/// A recorded step, compiled, with the batch that feeds it.
pub(super) struct Program {
    pub(super) id: ProgramId,
    step: Step,
    batch: Batch,
}

impl Program {
    pub(super) fn load(session: &mut dyn Session, step: Step) -> Result<Self, Error> {
        let id = session.load(&step.tape, LoadOptions::default())?;
        tracing::debug!(
            mode = ?step.tape.mode(),
            nodes = step.tape.nodes().len(),
            bytes = session.plan(id).total_bytes(),
            "loaded"
        );
        let batch_size = step.tape.shape(step.labels)[0];
        session.write(id, step.table, &augment::table(MEAN, STANDARD_DEVIATION))?;
        Ok(Self { id, step, batch: Batch::new(batch_size) })
    }

    /// Runs the step on those images of a split; rows that are left over do not count.
    pub(super) fn run(
        &mut self,
        session: &mut dyn Session,
        split: &Split,
        images: &[u32],
        scalars: &StepScalars,
    ) -> Result<(), Error> {
        self.batch.fill(split, images);
        session.write_words(self.id, self.step.pixels, &self.batch.pixels)?;
        session.write_words(self.id, self.step.labels, &self.batch.labels)?;
        if let Some(indices) = self.step.indices {
            session.write_words(self.id, indices, &self.batch.indices)?;
        }
        session.run(self.id, scalars)
    }
}

/// A network that is evaluated: its weights on a device, and the evaluation step.
pub struct Evaluator {
    pub(super) session: Box<dyn Session>,
    layout: StateLayout,
    evaluation: Program,
}

impl Evaluator {
    /// Compiles the evaluation step. The weights are zero until [`Evaluator::set_weights`].
    ///
    /// # Errors
    /// When the step passes a limit of the device, or the device fails.
    pub fn new(device: &Device, config: &StepConfig) -> Result<Self, Error> {
        let step = step::evaluation(config);
        let session = device.session(step.tape.state())?;
        Self::in_session(session, step)
    }

    /// As [`Evaluator::new`], in a session that may hold other programs of the same network.
    pub(super) fn in_session(mut session: Box<dyn Session>, step: Step) -> Result<Self, Error> {
        let layout = step.tape.state().clone();
        let evaluation = Program::load(&mut *session, step)?;
        Ok(Self { session, layout, evaluation })
    }

    /// The parameters and statistics of the network.
    pub fn layout(&self) -> &StateLayout {
        &self.layout
    }

    /// Bytes that the evaluation step needs on the device, besides the state.
    pub(super) fn own_bytes(&self) -> u64 {
        self.session.plan(self.evaluation.id).own_bytes()
    }

    /// Puts weights on the device.
    ///
    /// # Errors
    /// When the device fails.
    pub fn set_weights(&mut self, weights: &Weights) -> Result<(), Error> {
        weights.to_session(&mut *self.session)
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
        self.take_metrics()?;
        let order = batches::in_order(split.len());
        for images in batches::all_batches(&order, self.evaluation.batch.size()) {
            if stop() {
                return Ok(None);
            }
            self.evaluation.run(&mut *self.session, split, images, &StepScalars::default())?;
        }
        self.take_metrics().map(Some)
    }

    /// Runs `training` and the evaluation step on no images, and without an effect, so that what a
    /// driver leaves to the first run of a kernel is done.
    pub(super) fn warm_up(&mut self, training: &mut Program) -> Result<(), Error> {
        // As after an accident: while this is set, a step leaves the state as it is.
        let mut metrics = vec![0.0; self.layout.n_elements(Group::Metrics)];
        metrics[NOT_FINITE] = 1.0;
        self.session.write_state(Group::Metrics, &metrics)?;
        let nothing = Split::default();
        training.run(&mut *self.session, &nothing, &[], &StepScalars::default())?;
        self.evaluation.run(&mut *self.session, &nothing, &[], &StepScalars::default())?;
        self.take_metrics().map(|_| ())
    }

    /// Reads the metrics once everything before is done, and starts them anew.
    pub(super) fn take_metrics(&mut self) -> Result<Metrics, Error> {
        let values = self.session.read_state(Group::Metrics)?;
        self.session.write_state(Group::Metrics, &vec![0.0; values.len()])?;
        // Late ones that nobody took are of the time before, too.
        while self.session.poll_metrics()?.is_some() {}
        Ok(Metrics::from_slice(&values))
    }
}
