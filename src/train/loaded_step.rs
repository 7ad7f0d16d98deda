//! A step on images, compiled for a session. A [`Trainer`](super::Trainer) has two or three loaded steps, an
//! [`Evaluator`](super::Evaluator) has one. A loaded step owns no training state: each call borrows the session, which
//! owns the state.

use std::sync::Arc;

use super::StepError;
use super::step::{Step, StepConfig};
use crate::Error;
use crate::data::Split;
use crate::data::batches::{self, Batch};
use crate::device::{LoadOptions, ProgramId, Session};
use crate::kernel::StepScalars;
use crate::tape::Tape;

/// A recorded step, the number of its program in the session, and the host's buffer for its batch.
pub(super) struct LoadedStep {
    pub(super) id: ProgramId,
    pub(super) step: Step,
    batch: Batch,
}

impl LoadedStep {
    /// Compiles a step, and writes the step's table of normalised pixel values to the device.
    pub(super) fn load(
        session: &mut dyn Session,
        config: &StepConfig,
        step: Step,
        options: LoadOptions,
    ) -> Result<Self, Error> {
        let id = load(session, &step.tape, options)?;
        session.write(id, step.table, &config.table())?;
        let n_bytes = step.tape.shape(step.pixels)[1..].iter().product();
        let batch = Batch::with_room(config.batch_size, n_bytes);
        Ok(Self { id, step, batch })
    }

    /// Returns the step as it was recorded.
    pub(super) fn tape(&self) -> &Tape {
        &self.step.tape
    }

    /// Returns the number of images in a step.
    pub(super) fn batch_size(&self) -> usize {
        self.batch.size()
    }

    /// Writes the inputs of a step: the images of `split` whose numbers are in `images`. If there are fewer images than
    /// rows in the batch, the other rows do not count in loss and accuracy.
    pub(super) fn write(
        &mut self,
        session: &mut dyn Session,
        split: &Split,
        images: &[u32],
    ) -> Result<(), Error> {
        self.batch.fill(split, images);
        self.write_batch(session, &self.batch)
    }

    /// Writes a batch without images as the inputs of a step. Its rows do not count in the step's loss and accuracy.
    pub(super) fn write_padding(&mut self, session: &mut dyn Session) -> Result<(), Error> {
        self.batch.clear();
        self.write_batch(session, &self.batch)
    }

    /// Writes a batch as the inputs of a step. The pixels of a [`Batch`] are packed in u32 words, as the device reads
    /// them.
    pub(super) fn write_batch(
        &self,
        session: &mut dyn Session,
        batch: &Batch,
    ) -> Result<(), Error> {
        session.write_words(self.id, self.step.pixels, &batch.pixels)?;
        session.write_words(self.id, self.step.labels, &batch.labels)?;
        if let Some(sizes) = self.step.sizes {
            session.write_words(self.id, sizes, &batch.sizes)?;
        }
        if let Some(indices) = self.step.indices {
            session.write_words(self.id, indices, &batch.indices)?;
        }
        Ok(())
    }

    /// Evaluates every image of a split, in order, one step for each batch. Calls `after_batch` after each step with
    /// the numbers of its images. Each step adds its losses and correct predictions to the metrics on the device.
    /// Returns false if `stop` returned true before the end.
    pub(super) fn evaluate(
        &mut self,
        session: &mut dyn Session,
        split: &Split,
        stop: &dyn Fn() -> bool,
        mut after_batch: impl FnMut(&Self, &mut dyn Session, &[u32]) -> Result<(), Error>,
    ) -> Result<bool, Error> {
        let order = batches::in_order(split.len());
        for images in batches::all_batches(&order, self.batch_size()) {
            if stop() {
                return Ok(false);
            }
            self.write(session, split, images)?;
            // An evaluation step needs no step scalars: it has no random draws and no learning rate.
            session.run(self.id, &StepScalars::default())?;
            after_batch(self, session, images)?;
        }
        Ok(true)
    }

    /// Returns the logits of every image of a split, in order, `[n, classes]`; none if `stop` returned true before the
    /// end. Each step adds its losses and correct predictions to the metrics on the device.
    ///
    /// # Errors
    /// If the device fails. [`StepError::LogitsNotFinite`] if a logit is NaN or infinite, since such logits give no
    /// prediction.
    pub(super) fn logits(
        &mut self,
        session: &mut dyn Session,
        split: &Split,
        stop: &dyn Fn() -> bool,
    ) -> Result<Option<Vec<f32>>, Error> {
        let n_classes = self.tape().shape(self.step.logits)[1];
        let mut all = Vec::with_capacity(split.len() * n_classes);
        let is_whole = self.evaluate(session, split, stop, |this, session, images| {
            let logits = session.read(this.id, this.step.logits)?;
            // The rows after those of the images are padding.
            let logits = &logits[..images.len() * n_classes];
            if let Some(at) = logits.iter().position(|logit| !logit.is_finite()) {
                let image = images[at / n_classes] as usize;
                return Err(StepError::LogitsNotFinite { image, value: logits[at] }.into());
            }
            all.extend_from_slice(logits);
            Ok(())
        })?;
        Ok(is_whole.then_some(all))
    }
}

/// Compiles a tape into a program of the session.
pub(super) fn load(
    session: &mut dyn Session,
    tape: &Arc<Tape>,
    options: LoadOptions,
) -> Result<ProgramId, Error> {
    let id = session.load(tape, options)?;
    let bytes = session.plan(id).own_bytes();
    log::debug!("loaded {:?}: {} nodes, {bytes} own bytes", tape.mode(), tape.nodes().len());
    Ok(id)
}
