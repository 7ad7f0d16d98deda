//! The recorded steps of a run: a training step and an evaluation step, from pixels to the updated state.
//!
//! ```text
//! training     pixels -> (random resized crop) -> (jitter) -> augment -> (random erasing)
//!              -> network -> cross_entropy -> (fuse) -> backward
//!              -> finite_check, metrics, running statistics, (clip), optimizer, (ema)
//! evaluation   pixels -> normalise -> network -> cross_entropy -> metrics
//! explanation  pixels -> normalise -> network -> cross_entropy -> backward, from the logits to the last feature map
//! ```
//!
//! Parts in parentheses are optional. With [`StepConfig::cache_features`], each step has two parts: the part in front
//! of the first trained layer, which gives the same features of an image in every epoch, and the rest, which reads the
//! features. With several shards ([`UpdateConfig::n_shards`]), a training step has two programs: the one computes and
//! adds up the results of a shard, the other updates the state once for all shards. With averaged weights (`--ema`)
//! there is a third step: the forward pass of training with the averaged weights. The running statistics of the
//! averaged weights are the means of this step's batch statistics over several batches.
//!
//! [`UpdateConfig`] records the part after the logits. All steps have the same parameters and statistics, so one
//! session runs them on one state.

use std::sync::Arc;

use super::{PassTimes, UpdateConfig};
use crate::base::clock::Instant;
use crate::data::batches::Batch;
use crate::data::{ImageSize, ImageSpec, Split, cifar10};
use crate::nn::{Heads, NetworkConfig};
use crate::ops::augment::{self, AugmentFlags, ColorJitter};
use crate::ops::cross_entropy::CrossEntropy;
use crate::ops::random_box::BoxRange;
use crate::ops::{random_erasing, random_resized_crop};
use crate::passes::{self, Front};
use crate::tape::{ElementType, Mode, Tape, ValueId};

/// The settings that a step is recorded with.
#[derive(Clone, Debug)]
pub struct StepConfig {
    /// The network.
    pub network: NetworkConfig,
    /// The number of images in a step, a multiple of the number of shards.
    pub batch_size: usize,
    /// The size of the network's images.
    pub size: ImageSize,
    /// The bytes of the largest training image, if training images have sizes of their own; None if all have `size`.
    pub largest_image: Option<usize>,
    /// The boxes of the random resized crop, which comes first; None without it. Training images with sizes of their own
    /// need this crop.
    pub resized_crop: Option<BoxRange>,
    /// The random changes of training images: crop, flip, cutout.
    pub augmentation: AugmentFlags,
    /// The random changes of the colours of training images, which come before crop, flip and cutout.
    pub jitter: ColorJitter,
    /// The probability with which a random box of a training image is set to 0, after the normalisation.
    pub random_erasing: f64,
    /// The mean of each channel. It is subtracted from pixels in 0..=1.
    pub mean: Vec<f64>,
    /// The standard deviation of each channel. A pixel minus the mean is divided by the standard deviation.
    pub standard_deviation: Vec<f64>,
    /// True to split each step in front of its first trained layer. Training images are then not augmented.
    pub cache_features: bool,
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
            largest_image: None,
            resized_crop: None,
            augmentation: AugmentFlags::default(),
            jitter: ColorJitter::default(),
            random_erasing: 0.0,
            mean: cifar10::MEAN.to_vec(),
            standard_deviation: cifar10::STANDARD_DEVIATION.to_vec(),
            cache_features: false,
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

    /// Returns these settings for training images that may have sizes of their own.
    pub fn for_sizes(self, train: &Split) -> Self {
        let n_bytes = train.largest_image();
        Self { largest_image: (n_bytes != self.size.n_bytes()).then_some(n_bytes), ..self }
    }

    /// Returns these settings for a batch whose images may have sizes of their own.
    pub fn for_batch(self, batch: &Batch) -> Self {
        let n_bytes = batch.row_bytes();
        let has_sizes = self.resized_crop.is_some() && n_bytes != self.size.n_bytes();
        Self { largest_image: has_sizes.then_some(n_bytes), ..self }
    }

    /// Returns these settings for a step that is not divided into shards.
    pub fn undivided(&self) -> Self {
        let mut config = self.clone();
        config.update.n_shards = 1;
        config
    }

    /// Returns the number of images in a shard, N in the shapes of a step: all images of a step that is not divided.
    pub fn shard_size(&self) -> usize {
        self.batch_size / self.update.n_shards
    }

    /// Returns the normalised value of every byte in every channel, `[256, C]`, for [`Step::table`].
    pub fn table(&self) -> Vec<f32> {
        augment::table(&self.mean, &self.standard_deviation)
    }
}

/// A recorded step, and the values that the host writes and reads. N is the number of images in a shard, which is the
/// whole batch of a step that is not divided.
#[derive(Clone, Debug)]
pub struct Step {
    /// The recorded step; without its front, if it is split. Of a training step with several shards, the part that runs
    /// once for each shard.
    pub tape: Arc<Tape>,
    /// The part of a training step that runs once for all shards: the update of the state. None in other steps.
    pub update: Option<Arc<Tape>>,
    /// The part in front of the first trained layer; none if the step is not split. Its tape reads the images and the
    /// table, and [`Step::tape`] reads its features in place of the images.
    pub front: Option<Front>,
    /// Input that the host writes once: the normalised value of every byte in every channel, `[256, C]`; see
    /// [`StepConfig::table`].
    pub table: ValueId,
    /// Input that the host writes before each step: the pixels, `[N, C, H, W]` bytes, or `[N, bytes]` if images have sizes
    /// of their own.
    pub pixels: ValueId,
    /// Input that the host writes before each step with a random resized crop: the rows and columns of each image,
    /// `[N, 2]`. None in other steps.
    pub sizes: Option<ValueId>,
    /// Input that the host writes before each step: the classes, `[N]`. Rows without an image have
    /// [`IGNORED`](crate::ops::cross_entropy::IGNORED) and do not count in loss and accuracy.
    pub labels: ValueId,
    /// Input that the host writes before each step on augmented images: the numbers of the images, `[N]`, which seed
    /// their augmentation and the masks of dropout. None in an evaluation step.
    pub indices: Option<ValueId>,
    /// Input that the host writes once: the weights of the classes in the loss, `[classes]`. None in steps without
    /// class weights.
    pub class_weights: Option<ValueId>,
    /// Output that the host can read after the step: the logits, `[N, classes]`.
    pub logits: ValueId,
    /// Output that the host can read after the step: the mean loss over the batch, or over the last shard, `[1]`.
    pub loss: ValueId,
}

impl Step {
    /// Returns all nodes of a step as one list: those of [`Step::tape`], and then those of [`Step::update`].
    pub fn whole(&self) -> Tape {
        let mut whole = Tape::clone(&self.tape);
        if let Some(update) = &self.update {
            whole.append(update);
        }
        whole
    }
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
    let of_passes = passes.fuse + passes.differentiate + passes.recompute;
    let record = start.elapsed().as_secs_f64() - of_passes;
    (step, RecordingTimes { record, passes })
}

/// Records an evaluation step. Batch norms use running statistics; there is no augmentation, no label smoothing
/// and no class weight.
pub fn evaluation(config: &StepConfig) -> Step {
    let mut tape = new_tape(config, Mode::Eval);
    let [pixels, labels, table] =
        inputs(&mut tape, config, &config.size.planar(config.shard_size()));

    let x = augment::normalise(&mut tape, pixels, table);
    let heads = config.network.record_heads(&mut tape, x);
    let logits = heads.logits;
    tape.keep(logits);
    let front = split(&mut tape, config, [pixels, table]);
    let loss = config.update.record_evaluation(&mut tape, &heads, labels).loss;
    let tape = Arc::new(tape);
    let (update, sizes, indices, class_weights) = (None, None, None, None);
    Step { tape, update, front, table, pixels, sizes, labels, indices, class_weights, logits, loss }
}

/// An evaluation step, and the gradient of its logits with respect to the last feature map of the network.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The step. It is split behind the feature map, so its front has most of the layers.
    pub step: Step,
    /// The last feature map of the network, `[N, H, W, C]`, an input of [`Step::tape`]; see [`passes::feature_map()`].
    pub feature_map: ValueId,
    /// Input that the host writes: the gradient from which the backward pass starts, `[N, classes]`.
    pub d_logits: ValueId,
    /// Output that the host can read after the step: the gradient of the feature map, `[N, H, W, C]`.
    pub d_feature_map: ValueId,
}

/// Records an evaluation step that can explain its predictions; see [`Explainer`](super::Explainer). Parameters have no
/// gradient, and no layer in front of the feature map is differentiated.
pub fn explanation(config: &StepConfig) -> Explanation {
    let config = &config.undivided();
    let mut tape = new_tape(config, Mode::Eval);
    tape.inference_only();
    let [pixels, labels, table] =
        inputs(&mut tape, config, &config.size.planar(config.shard_size()));
    let x = augment::normalise(&mut tape, pixels, table);
    let heads = config.network.record_heads(&mut tape, x);
    let logits = heads.logits;
    tape.keep(logits);
    // The layers of auxiliary heads read feature maps, too.
    passes::eliminate_dead(&mut tape);
    let feature_map = passes::feature_map(&tape, x);
    let mut front = passes::split_behind(&mut tape, feature_map);
    passes::fuse(&mut front.tape, config.update.fusion);
    config.update.declare_state(&mut front.tape);

    tape.require_gradient(feature_map);
    let loss = config.update.record_statistics(&mut tape, &heads, labels).loss;
    let shape = tape.shape(logits).to_vec();
    let d_logits = tape.input("d_logits", ElementType::F32, &shape);
    let gradients = passes::backward_from(&mut tape, &[(logits, d_logits)]);
    let d_feature_map = gradients.get(feature_map).expect("the logits depend on the feature map");
    tape.keep(d_feature_map);
    passes::eliminate_dead(&mut tape);
    let (tape, front) = (Arc::new(tape), Some(front));
    let step = Step {
        tape,
        update: None,
        front,
        table,
        pixels,
        sizes: None,
        labels,
        class_weights: None,
        indices: None,
        logits,
        loss,
    };
    Explanation { step, feature_map, d_logits, d_feature_map }
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
    let mut tape = new_tape(config, Mode::Train);
    let Augmented { labels, table, pixels, sizes, indices, images: x } =
        augmented(&mut tape, config);
    let heads = config.network.record_heads(&mut tape, x);
    let logits = heads.logits;
    tape.keep(logits);
    let front = split(&mut tape, config, [pixels, table]);
    let CrossEntropy { loss, class_weights, .. } = complete(&mut tape, &heads, labels);
    let update = tape.is_of_shard().then(|| Arc::new(passes::split_update(&mut tape)));
    let (tape, indices) = (Arc::new(tape), Some(indices));
    Step { tape, update, front, table, pixels, sizes, labels, indices, class_weights, logits, loss }
}

/// Returns an empty tape with the frozen parameters of the settings.
fn new_tape(config: &StepConfig, mode: Mode) -> Tape {
    let mut tape = Tape::new(config.network.network.name(), mode);
    tape.freeze(&config.update.frozen);
    tape
}

/// Splits a recorded forward pass in front of its first trained layer, and returns the part in front. Returns None, and
/// changes nothing, without [`StepConfig::cache_features`].
fn split(tape: &mut Tape, config: &StepConfig, images: [ValueId; 2]) -> Option<Front> {
    config.cache_features.then(|| {
        let mut front = passes::split_frozen(tape, &images);
        passes::fuse(&mut front.tape, config.update.fusion);
        config.update.declare_state(&mut front.tape);
        front
    })
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
    /// Input with the contents of [`Step::sizes`].
    pub sizes: Option<ValueId>,
    /// Input with the contents of [`Step::indices`].
    pub indices: ValueId,
    /// Output that the host can read after the step: the network's input, `[N, H, W, C]`, which is the augmented
    /// images.
    pub images: ValueId,
}

/// Records the beginning of a training step, the augmentation, for a whole batch.
pub fn augmentation(config: &StepConfig) -> AugmentationStep {
    let config = &config.undivided();
    let mut tape = Tape::new("augmentation", Mode::Train);
    let Augmented { table, pixels, sizes, indices, images, .. } = augmented(&mut tape, config);
    tape.keep(images);
    AugmentationStep { tape: Arc::new(tape), table, pixels, sizes, indices, images }
}

/// The inputs of a step on augmented images, and the network's input.
struct Augmented {
    labels: ValueId,
    table: ValueId,
    pixels: ValueId,
    sizes: Option<ValueId>,
    indices: ValueId,
    /// The network's input, `[N, H, W, C]`.
    images: ValueId,
}

/// Records the inputs and the augmentation.
fn augmented(tape: &mut Tape, config: &StepConfig) -> Augmented {
    let (batch_size, size) = (config.shard_size(), config.size);
    let stored = match (config.largest_image, config.resized_crop) {
        (None, _) => size.planar(batch_size).to_vec(),
        (Some(n_bytes), Some(_)) => vec![batch_size, n_bytes],
        (Some(_), None) => panic!("images with sizes of their own need a random resized crop"),
    };
    let [pixels, labels, table] = inputs(tape, config, &stored);
    let indices = tape.input("indices", ElementType::U32, &[batch_size]);
    tape.set_image_numbers(indices);
    if config.cache_features {
        let images = augment::normalise(tape, pixels, table);
        return Augmented { labels, table, pixels, sizes: None, indices, images };
    }
    let mut bytes = pixels;
    let sizes = config.resized_crop.map(|range| {
        let sizes = tape.input("sizes", ElementType::U32, &[batch_size, 2]);
        let boxes = random_resized_crop::boxes(tape, indices, sizes, range);
        let to = [size.height, size.width];
        bytes = random_resized_crop::resize(tape, pixels, sizes, boxes, size.channels, to);
        sizes
    });
    if config.jitter.is_on() {
        let draws = augment::jitter_draws(tape, indices, config.jitter);
        bytes = augment::jitter(tape, bytes, draws);
    }
    let draws = augment::draws(tape, indices, [size.height, size.width]);
    let mut images = augment::augment(tape, bytes, table, draws, config.augmentation);
    if config.random_erasing > 0.0 {
        let image = [size.height, size.width];
        let boxes = random_erasing::boxes(tape, indices, image, config.random_erasing);
        images = random_erasing::erase(tape, images, boxes);
    }
    Augmented { labels, table, pixels, sizes, indices, images }
}

/// Records the inputs of every step: pixels of the shape `stored`, labels and table.
fn inputs(tape: &mut Tape, config: &StepConfig, stored: &[usize]) -> [ValueId; 3] {
    [
        tape.input("pixels", ElementType::U8, stored),
        tape.input("labels", ElementType::U32, &[config.shard_size()]),
        tape.input("table", ElementType::F32, &[256, config.size.channels]),
    ]
}
