//! The calls of a trainer that do not train: evaluation, logits, running statistics, features.

use super::Trainer;
use crate::Error;
use crate::data::Split;
use crate::device;
use crate::distributed::{part, tree};
use crate::ops::metrics::Metrics;
use crate::tape::{Mode, StateBuffer};
use crate::train::StepError;
use crate::train::features::{Features, Images};
use crate::train::shared::{Shared, gather};

/// The largest number of batches that [`Trainer::update_statistics`] averages over. With 32 batches the random error of
/// the mean is smaller than the change of the statistics in one step of training.
const STATISTICS_BATCHES: usize = 32;

impl Trainer {
    /// Returns loss and accuracy over every image of a split; none if `stop` returned true before the end.
    ///
    /// # Errors
    /// If the device fails. [`StepError::NotFinite`](crate::train::StepError::NotFinite) if a loss or gradient of an earlier
    /// training step was not finite.
    pub fn evaluate<'a>(
        &mut self,
        split: impl Into<Images<'a>>,
        stop: &dyn Fn() -> bool,
    ) -> Result<Option<Metrics>, Error> {
        self.state.take_metrics()?;
        if self.training.update.is_some() {
            return self.evaluate_in_parts(split.into(), stop);
        }
        let session = &mut *self.state.session;
        match self.evaluation.evaluate(session, split.into(), stop, |_, _, _| Ok(()))? {
            true => self.state.take_metrics().map(Some),
            false => Ok(None),
        }
    }

    /// Returns loss and accuracy as [`Trainer::evaluate`] does. The sums of the batches are added on the host, in a tree
    /// over the numbers of the batches, as the shards of a step are.
    fn evaluate_in_parts(
        &mut self,
        split: Images<'_>,
        stop: &dyn Fn() -> bool,
    ) -> Result<Option<Metrics>, Error> {
        let n_batches = split.len().div_ceil(self.evaluation.batch_size());
        let own = match &self.shared {
            Some(Shared { ranks, .. }) => part(n_batches, ranks.rank(), ranks.size()),
            None => 0..n_batches,
        };
        let mut parts = Vec::new();
        let session = &mut *self.state.session;
        let is_whole =
            self.evaluation.evaluate_part(session, split, own, stop, |_, session, _| {
                let values = session.read_state(StateBuffer::Metrics)?;
                session.write_state(StateBuffer::Metrics, &vec![0.0; values.len()])?;
                parts.push(Metrics::from_slice(&values));
                Ok(())
            })?;
        let (parts, is_whole) = match &self.shared {
            Some(Shared { ranks, .. }) => gather(&**ranks, &parts, is_whole),
            None => (parts, is_whole),
        };
        let sum = tree::tree_sum(&parts, &|a, b| a.plus(&b)).unwrap_or_default();
        Ok(is_whole.then_some(sum))
    }

    /// Returns the logits of every image of a split, in order, `[n, classes]`; none if `stop` returned true before the
    /// end. The metrics of earlier steps are lost, unless [`TrainState::take_metrics`](crate::train::TrainState::take_metrics) has returned them before this
    /// call.
    ///
    /// # Errors
    /// If the device fails. [`StepError::LogitsNotFinite`](crate::train::StepError::LogitsNotFinite) if a logit is NaN or
    /// infinite.
    pub fn logits<'a>(
        &mut self,
        split: impl Into<Images<'a>>,
        stop: &dyn Fn() -> bool,
    ) -> Result<Option<Vec<f32>>, Error> {
        let logits = self.evaluation.logits(&mut *self.state.session, split.into(), stop)?;
        self.state.drop_metrics()?;
        Ok(logits)
    }

    /// Measures the running statistics for the averaged weights, like `torch.optim.swa_utils.update_bn`: the mean over
    /// several batches of augmented images. The running statistics after training belong to the trained weights, not to
    /// their average. The statistics of frozen batch norms do not change. `images` are numbers of images in `split`. Does
    /// nothing if no weights are averaged.
    ///
    /// `epoch`, from 0, seeds the augmentation together with each image's number.
    ///
    /// Returns false, and changes nothing, if `stop` returned true before the end.
    ///
    /// # Errors
    /// If the device fails.
    pub fn update_statistics<'a>(
        &mut self,
        split: impl Into<Images<'a>>,
        images: &[u32],
        epoch: usize,
        stop: &dyn Fn() -> bool,
    ) -> Result<bool, Error> {
        let Self { state, statistics: Some(step), shared, n_shards, .. } = self else {
            return Ok(true);
        };
        let split = split.into();
        state.epoch = epoch;
        let batches = images.chunks_exact(step.batch_size());
        let n_batches = batches.len().min(STATISTICS_BATCHES * *n_shards);
        let own = match shared {
            Some(Shared { ranks, .. }) => part(n_batches, ranks.rank(), ranks.size()),
            None => 0..n_batches,
        };
        let (n_own, mut of_batches, mut is_whole) = (own.len(), Vec::new(), true);
        for images in batches.skip(own.start).take(n_own) {
            if stop() {
                is_whole = false;
                break;
            }
            step.write(&mut *state.session, split, images)?;
            state.run(step.id)?;
            of_batches.push(state.session.read_state(StateBuffer::BatchStatistics)?);
        }
        if let Some(Shared { ranks, .. }) = shared {
            let flat = of_batches.concat();
            let all = ranks.all_gather(bytemuck::cast_slice(&flat));
            let n = state.layout.n_elements(StateBuffer::BatchStatistics);
            let all: Vec<Vec<f32>> =
                all.iter().map(|of| bytemuck::pod_collect_to_vec(of)).collect();
            of_batches =
                all.iter().flat_map(|of| of.chunks(n.max(1)).map(<[f32]>::to_vec)).collect();
            is_whole = of_batches.len() == n_batches;
        }
        if !is_whole {
            return Ok(false);
        }
        let mut sums = vec![0.0; state.layout.n_elements(StateBuffer::RunningStatistics)];
        for of_batch in of_batches {
            sums.iter_mut().zip(of_batch).for_each(|(sum, value)| *sum += f64::from(value));
        }
        if n_batches > 0 {
            let mut means: Vec<f32> =
                sums.iter().map(|sum| (sum / n_batches as f64) as f32).collect();
            let running = state.session.read_state(StateBuffer::RunningStatistics)?;
            let members = state.layout.running_statistics.iter();
            for member in members.filter(|member| step.tape().is_frozen(&member.name)) {
                means[member.range()].copy_from_slice(&running[member.range()]);
            }
            state.session.write_state(StateBuffer::RunningStatistics, &means)?;
        }
        Ok(true)
    }

    /// Fails if the features of `n_training` images for training, and of `n_evaluated` images for evaluation, take more
    /// memory than this machine has.
    ///
    /// # Errors
    /// [`StepError::Features`] with the numbers of bytes.
    pub fn check_features(&self, n_training: usize, n_evaluated: usize) -> Result<(), StepError> {
        let n_elements = self.training.feature_length() as u64 * n_training as u64
            + self.evaluation.feature_length() as u64 * n_evaluated as u64;
        let (n_images, bytes) = (n_training + n_evaluated, 4 * n_elements);
        match device::free_memory() {
            Some(free) if bytes > free => Err(StepError::Features { n_images, bytes, free }),
            _ => Ok(()),
        }
    }

    /// Returns the features of every image of a split, for training or for evaluation; none if `stop` returned true
    /// before the end. The two differ if layers with random draws stand between frozen layers.
    ///
    /// # Errors
    /// If the device fails.
    ///
    /// # Panics
    /// Without [`StepConfig::cache_features`](crate::train::step::StepConfig::cache_features).
    pub fn features(
        &mut self,
        split: &Split,
        mode: Mode,
        stop: &dyn Fn() -> bool,
    ) -> Result<Option<Features>, Error> {
        let step = match mode {
            Mode::Train => &mut self.training,
            Mode::Eval => &mut self.evaluation,
        };
        step.features(&mut *self.state.session, split, stop)
    }
}
