//! A step on images, compiled for a session. A [`Trainer`](super::Trainer) has two or three loaded steps, an
//! [`Evaluator`](super::Evaluator) has one. A loaded step owns no training state: each call borrows the session, which
//! owns the state.

use std::ops::Range;
use std::sync::Arc;

use super::StepError;
use super::features::{Features, Images};
use super::step::{Step, StepConfig};
use crate::Error;
use crate::data::Split;
use crate::data::batches::{self, Batch};
use crate::device::{LoadOptions, ProgramId, Session};
use crate::kernel::StepScalars;
use crate::passes::Front;
use crate::tape::{Tape, ValueId};

/// A recorded step, the number of its program in the session, and the host's buffer for its batch.
pub(super) struct LoadedStep {
    pub(super) id: ProgramId,
    /// The program that runs once for all shards of a training step; none in other steps.
    pub(super) update: Option<ProgramId>,
    pub(super) step: Step,
    batch: Batch,
    front: Option<LoadedFront>,
}

/// The front of a split step, the number of its program, and the host's buffers for its features.
struct LoadedFront {
    id: ProgramId,
    /// The features. The host reads them from the front, and writes them to the rest of the step.
    values: Vec<ValueId>,
    /// The number of elements of each feature for one image.
    lengths: Vec<usize>,
    /// The features of a batch.
    rows: Vec<Vec<f32>>,
}

impl LoadedStep {
    /// Compiles a step, and writes its table of normalised pixel values and its class weights to the device.
    pub(super) fn load(
        session: &mut dyn Session,
        config: &StepConfig,
        step: Step,
        options: LoadOptions,
    ) -> Result<Self, Error> {
        let id = load(session, &step.tape, options)?;
        let front =
            step.front.as_ref().map(|front| LoadedFront::load(session, front)).transpose()?;
        let reader = front.as_ref().map_or(id, |front| front.id);
        session.write(reader, step.table, &config.table())?;
        if let (Some(input), Some(weights)) = (step.class_weights, &config.update.class_weights) {
            session.write(id, input, weights)?;
        }
        let update =
            step.update.as_ref().map(|update| load(session, update, options)).transpose()?;
        let n_bytes = step.tape.shape(step.pixels)[1..].iter().product();
        let batch = Batch::with_room(config.shard_size(), n_bytes);
        Ok(Self { id, update, step, batch, front })
    }

    /// Returns the step as it was recorded.
    pub(super) fn tape(&self) -> &Tape {
        &self.step.tape
    }

    /// Returns the number of images that the step takes at a time: those of a shard.
    pub(super) fn batch_size(&self) -> usize {
        self.batch.size()
    }

    /// Writes the inputs of a step: the images of `split` whose numbers are in `images`. If there are fewer images than
    /// rows in the batch, the other rows do not count in loss and accuracy. If the step is split and `split` has pixels,
    /// the front computes the features of the batch first.
    ///
    /// # Panics
    /// If `split` has features and the step is not split.
    pub(super) fn write(
        &mut self,
        session: &mut dyn Session,
        split: Images<'_>,
        images: &[u32],
    ) -> Result<(), Error> {
        match split {
            Images::Pixels(split) => {
                self.batch.fill(split, images);
                self.write_batch(session, &self.batch)
            }
            Images::Features(features) => {
                self.batch.label(features.labels(), images);
                let front = self.front.as_mut().expect("features are inputs of a split step");
                front.gather(features, images);
                front.write(session, self.id, &front.rows)?;
                self.write_labels(session, &self.batch)
            }
        }
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
        match &self.front {
            None => session.write_words(self.id, self.step.pixels, &batch.pixels)?,
            Some(front) => {
                session.write_words(front.id, self.step.pixels, &batch.pixels)?;
                let rows = front.run(session)?;
                front.write(session, self.id, &rows)?;
            }
        }
        self.write_labels(session, batch)
    }

    /// Writes the labels and the image numbers of a batch as inputs of a step.
    fn write_labels(&self, session: &mut dyn Session, batch: &Batch) -> Result<(), Error> {
        session.write_words(self.id, self.step.labels, &batch.labels)?;
        if let Some(sizes) = self.step.sizes {
            session.write_words(self.id, sizes, &batch.sizes)?;
        }
        if let Some(indices) = self.step.indices {
            session.write_words(self.id, indices, &batch.indices)?;
        }
        Ok(())
    }

    /// Returns the number of elements of the features of one image; 0 if the step is not split.
    pub(super) fn feature_length(&self) -> usize {
        self.front.as_ref().map_or(0, |front| front.lengths.iter().sum())
    }

    /// Returns the features of every image of a split; none if `stop` returned true before the end.
    ///
    /// # Panics
    /// If the step is not split.
    pub(super) fn features(
        &mut self,
        session: &mut dyn Session,
        split: &Split,
        stop: &dyn Fn() -> bool,
    ) -> Result<Option<Features>, Error> {
        let front = self.front.as_ref().expect("a split step");
        let mut features = Features::new(split, &front.lengths);
        let order = batches::in_order(split.len());
        for images in batches::all_batches(&order, self.batch.size()) {
            if stop() {
                return Ok(None);
            }
            self.batch.fill(split, images);
            session.write_words(front.id, self.step.pixels, &self.batch.pixels)?;
            for (ix, rows) in front.run(session)?.iter().enumerate() {
                let length = front.lengths[ix];
                features.write(ix, length, images[0], &rows[..images.len() * length]);
            }
        }
        Ok(Some(features))
    }

    /// Returns the programs of the step: the step itself, its update if it runs on shards, and its front if it is split.
    pub(super) fn programs(&self) -> impl Iterator<Item = ProgramId> {
        [self.id].into_iter().chain(self.update).chain(self.front.as_ref().map(|front| front.id))
    }

    /// Evaluates every image of a split, in order, one step for each batch. Calls `after_batch` after each step with
    /// the numbers of its images. Each step adds its losses and correct predictions to the metrics on the device.
    /// Returns false if `stop` returned true before the end.
    pub(super) fn evaluate(
        &mut self,
        session: &mut dyn Session,
        split: Images<'_>,
        stop: &dyn Fn() -> bool,
        after_batch: impl FnMut(&Self, &mut dyn Session, &[u32]) -> Result<(), Error>,
    ) -> Result<bool, Error> {
        let n_batches = split.len().div_ceil(self.batch_size());
        self.evaluate_part(session, split, 0..n_batches, stop, after_batch)
    }

    /// Evaluates the batches with the numbers `part`, as [`LoadedStep::evaluate`] does with all of them.
    pub(super) fn evaluate_part(
        &mut self,
        session: &mut dyn Session,
        split: Images<'_>,
        part: Range<usize>,
        stop: &dyn Fn() -> bool,
        mut after_batch: impl FnMut(&Self, &mut dyn Session, &[u32]) -> Result<(), Error>,
    ) -> Result<bool, Error> {
        let order = batches::in_order(split.len());
        let all = batches::all_batches(&order, self.batch_size());
        for images in all.skip(part.start).take(part.len()) {
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
        split: Images<'_>,
        stop: &dyn Fn() -> bool,
    ) -> Result<Option<Vec<f32>>, Error> {
        let n_classes = self.tape().shape(self.step.logits)[1];
        let mut all = Vec::with_capacity(split.len() * n_classes);
        let is_whole = self.evaluate(session, split, stop, |this, session, images| {
            all.extend(this.read_logits(session, images)?);
            Ok(())
        })?;
        Ok(is_whole.then_some(all))
    }

    /// Returns the logits of the images whose numbers are in `images`, the batch of the last run, `[images, classes]`.
    ///
    /// # Errors
    /// If the device fails. [`StepError::LogitsNotFinite`] if a logit is NaN or infinite.
    pub(super) fn read_logits(
        &self,
        session: &mut dyn Session,
        images: &[u32],
    ) -> Result<Vec<f32>, Error> {
        let n_classes = self.tape().shape(self.step.logits)[1];
        let mut logits = session.read(self.id, self.step.logits)?;
        // The rows after those of the images are padding.
        logits.truncate(images.len() * n_classes);
        if let Some(at) = logits.iter().position(|logit| !logit.is_finite()) {
            let image = images[at / n_classes] as usize;
            return Err(StepError::LogitsNotFinite { image, value: logits[at] }.into());
        }
        Ok(logits)
    }
}

impl LoadedFront {
    fn load(session: &mut dyn Session, front: &Front) -> Result<Self, Error> {
        let Front { tape, features } = front;
        let n_images = |value: ValueId| tape.shape(value)[0];
        let length = |&value: &ValueId| tape.value(value).n_elements() / n_images(value);
        let rows = features.iter().map(|&value| vec![0.0; tape.value(value).n_elements()]);
        Ok(Self {
            id: load(session, &Arc::new(tape.clone()), LoadOptions::default())?,
            values: features.clone(),
            lengths: features.iter().map(length).collect(),
            rows: rows.collect(),
        })
    }

    /// Runs the front on the pixels that were written, and returns the features of the batch.
    fn run(&self, session: &mut dyn Session) -> Result<Vec<Vec<f32>>, Error> {
        // The front has no random draws and no learning rate.
        session.run(self.id, &StepScalars::default())?;
        let rows = self.values.iter().map(|&value| session.read(self.id, value));
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Copies the features of the images whose numbers are in `images` into the buffers of a batch. The rows of the
    /// buffers behind these images become 0.
    fn gather(&mut self, features: &Features, images: &[u32]) {
        for (ix, (rows, &length)) in self.rows.iter_mut().zip(&self.lengths).enumerate() {
            let (filled, padding) = rows.split_at_mut(images.len() * length);
            for (row, &image) in filled.chunks_exact_mut(length).zip(images) {
                row.copy_from_slice(features.row(ix, length, image));
            }
            padding.fill(0.0);
        }
    }

    /// Writes the features of a batch as inputs of the rest of the step, whose program is `rest`.
    fn write(
        &self,
        session: &mut dyn Session,
        rest: ProgramId,
        rows: &[Vec<f32>],
    ) -> Result<(), Error> {
        for (&value, rows) in self.values.iter().zip(rows) {
            session.write(rest, value, rows)?;
        }
        Ok(())
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
