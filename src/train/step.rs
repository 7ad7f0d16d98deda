//! The recorded steps of a run: a training step and an evaluation step, from pixels to the updated state.
//!
//! ```text
//! training     pixels -> (jitter) -> augment -> network -> cross_entropy -> (fuse) -> backward
//!              -> finite_check, metrics, running statistics, (clip), optimizer, (ema)
//! evaluation   pixels -> normalise -> network -> cross_entropy -> metrics
//! ```
//!
//! Parts in parentheses are optional. With averaged weights (`--ema`) there is a third step: the forward pass of
//! training with the averaged weights. The running statistics of the averaged weights are the means of this step's
//! batch statistics over several batches.
//!
//! [`UpdateConfig`] records the part after the logits. All steps have the same parameters and statistics, so one
//! session runs them on one state.

use std::sync::Arc;

use super::{PassTimes, UpdateConfig};
use crate::base::clock::Instant;
use crate::data::{ImageSize, ImageSpec, cifar10};
use crate::nn::{Heads, NetworkConfig};
use crate::ops::augment::{self, AugmentFlags, ColorJitter};
use crate::ops::cross_entropy::CrossEntropy;
use crate::tape::{ElementType, Mode, Tape, ValueId};

/// The settings that a step is recorded with.
#[derive(Clone, Debug)]
pub struct StepConfig {
    /// The network.
    pub network: NetworkConfig,
    /// The number of images in a step, N in the shapes of a step.
    pub batch_size: usize,
    /// The size of an image.
    pub size: ImageSize,
    /// The random changes of training images: crop, flip, cutout.
    pub augmentation: AugmentFlags,
    /// The random changes of the colours of training images, which come before crop, flip and cutout.
    pub jitter: ColorJitter,
    /// The mean of each channel. It is subtracted from pixels in 0..=1.
    pub mean: Vec<f64>,
    /// The standard deviation of each channel. A pixel minus the mean is divided by the standard deviation.
    pub standard_deviation: Vec<f64>,
    /// The settings of the part after the logits: loss, gradients, optimizer.
    pub update: UpdateConfig,
}

impl StepConfig {
    /// Returns the default settings: images of CIFAR-10, crop, flip and cutout, no label smoothing, Adam with the
    /// constants of its paper.
    pub fn new(network: impl Into<NetworkConfig>, batch_size: usize) -> Self {
        Self {
            network: network.into(),
            batch_size,
            size: cifar10::SIZE,
            augmentation: AugmentFlags::default(),
            jitter: ColorJitter::default(),
            mean: cifar10::MEAN.to_vec(),
            standard_deviation: cifar10::STANDARD_DEVIATION.to_vec(),
            update: UpdateConfig::default(),
        }
    }

    /// Returns these settings for the images of a dataset: their size, mean and standard deviation.
    pub fn for_images(self, spec: &ImageSpec) -> Self {
        Self {
            size: spec.size,
            mean: spec.mean.clone(),
            standard_deviation: spec.standard_deviation.clone(),
            ..self
        }
    }

    /// Returns the normalised value of every byte in every channel, `[256, C]`, for [`Step::table`].
    pub fn table(&self) -> Vec<f32> {
        augment::table(&self.mean, &self.standard_deviation)
    }
}

/// A recorded step, and the values that the host writes and reads.
#[derive(Clone, Debug)]
pub struct Step {
    /// The recorded step.
    pub tape: Arc<Tape>,
    /// Input that the host writes once: the normalised value of every byte in every channel, `[256, C]`; see
    /// [`StepConfig::table`].
    pub table: ValueId,
    /// Input that the host writes before each step: the pixels, `[N, C, H, W]` bytes.
    pub pixels: ValueId,
    /// Input that the host writes before each step: the classes, `[N]`. Rows without an image have
    /// [`IGNORED`](crate::ops::cross_entropy::IGNORED) and do not count in loss and accuracy.
    pub labels: ValueId,
    /// Input that the host writes before each step on augmented images: the numbers of the images, `[N]`, which seed
    /// their augmentation and the masks of dropout. None in an evaluation step.
    pub indices: Option<ValueId>,
    /// Output that the host can read after the step: the logits, `[N, classes]`.
    pub logits: ValueId,
    /// Output that the host can read after the step: the mean loss over the batch, `[1]`.
    pub loss: ValueId,
}

/// The time to record a step, in seconds.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct RecordingTimes {
    /// Time without the passes.
    pub record: f64,
    /// Time of the passes.
    pub passes: PassTimes,
}

/// Records a training step.
pub fn training(config: &StepConfig) -> Step {
    training_timed(config).0
}

/// Records a training step, and measures the time of each part of the recording.
pub fn training_timed(config: &StepConfig) -> (Step, RecordingTimes) {
    let start = Instant::now();
    let mut passes = PassTimes::default();
    let step = trained_images(config, |tape, heads, labels| {
        let (loss, times) = config.update.record_training_timed(tape, heads, labels);
        passes = times;
        loss
    });
    let record = start.elapsed().as_secs_f64() - passes.fuse - passes.differentiate;
    (step, RecordingTimes { record, passes })
}

/// Records an evaluation step. Batch norms use running statistics; there is no augmentation and no label smoothing.
pub fn evaluation(config: &StepConfig) -> Step {
    let mut tape = Tape::new(config.network.network.name(), Mode::Eval);
    let [pixels, labels, table] = inputs(&mut tape, config);

    let x = augment::normalise(&mut tape, pixels, table);
    let heads = config.network.record_heads(&mut tape, x);
    let logits = heads.logits;
    tape.keep(logits);
    let loss = config.update.record_evaluation(&mut tape, &heads, labels).loss;
    let tape = Arc::new(tape);
    Step { tape, table, pixels, labels, indices: None, logits, loss }
}

/// Records the forward pass of a training step with the weights that evaluation reads: the averaged ones, if there are
/// any. The batch norms write the means and variances of the batch to
/// [`StateBuffer::BatchStatistics`](crate::tape::StateBuffer::BatchStatistics).
pub fn statistics(config: &StepConfig) -> Step {
    trained_images(config, |tape, heads, labels| {
        config.update.record_statistics(tape, heads, labels)
    })
}

/// Records a step on augmented images. `complete` records the part after the logits.
fn trained_images(
    config: &StepConfig,
    complete: impl FnOnce(&mut Tape, &Heads, ValueId) -> CrossEntropy,
) -> Step {
    let mut tape = Tape::new(config.network.network.name(), Mode::Train);
    let [pixels, labels, table] = inputs(&mut tape, config);
    let indices = tape.input("indices", ElementType::U32, &[config.batch_size]);
    tape.set_image_numbers(indices);

    let x = augmented(&mut tape, config, [pixels, table, indices]);
    let heads = config.network.record_heads(&mut tape, x);
    let logits = heads.logits;
    tape.keep(logits);
    let loss = complete(&mut tape, &heads, labels).loss;
    let (tape, indices) = (Arc::new(tape), Some(indices));
    Step { tape, table, pixels, labels, indices, logits, loss }
}

/// The beginning of a training step, without the network: the augmentation.
#[derive(Clone, Debug)]
pub struct AugmentationStep {
    /// The recorded step.
    pub tape: Arc<Tape>,
    /// Input with the contents of [`Step::table`].
    pub table: ValueId,
    /// Input with the contents of [`Step::pixels`].
    pub pixels: ValueId,
    /// Input with the contents of [`Step::indices`].
    pub indices: ValueId,
    /// Output that the host can read after the step: the network's input, `[N, H, W, C]`, which is the augmented
    /// images.
    pub images: ValueId,
}

/// Records the beginning of a training step: the augmentation.
pub fn augmentation(config: &StepConfig) -> AugmentationStep {
    let mut tape = Tape::new("augmentation", Mode::Train);
    let [pixels, _, table] = inputs(&mut tape, config);
    let indices = tape.input("indices", ElementType::U32, &[config.batch_size]);
    let images = augmented(&mut tape, config, [pixels, table, indices]);
    tape.keep(images);
    AugmentationStep { tape: Arc::new(tape), table, pixels, indices, images }
}

/// Records the augmentation and returns the network's input, `[N, H, W, C]`.
fn augmented(
    tape: &mut Tape,
    config: &StepConfig,
    [pixels, table, indices]: [ValueId; 3],
) -> ValueId {
    let mut images = pixels;
    if config.jitter.is_on() {
        let draws = augment::jitter_draws(tape, indices, config.jitter);
        images = augment::jitter(tape, images, draws);
    }
    let draws = augment::draws(tape, indices, [config.size.height, config.size.width]);
    augment::augment(tape, images, table, draws, config.augmentation)
}

/// Records the inputs of a step: pixels, labels and table.
fn inputs(tape: &mut Tape, &StepConfig { batch_size, size, .. }: &StepConfig) -> [ValueId; 3] {
    [
        tape.input("pixels", ElementType::U8, &size.planar(batch_size)),
        tape.input("labels", ElementType::U32, &[batch_size]),
        tape.input("table", ElementType::F32, &[256, size.channels]),
    ]
}
