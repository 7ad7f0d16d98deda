//! Training on images of another format than CIFAR-10: grey images of 20 rows and 24 columns in seven classes.

use wgrad::data::batches::{Batch, epoch_order, in_order, whole_batches};
use wgrad::data::{ImageSpec, Split};
use wgrad::device::{Device, LoadOptions, OpenOptions};
use wgrad::kernel::StepScalars;
use wgrad::nn::{self, Conv, ResNet9, layers};
use wgrad::ops::augment::AugmentFlags;
use wgrad::ops::random_box::BoxRange;
use wgrad::ops::random_resized_crop;
use wgrad::tape::{Tape, ValueId};
use wgrad::train::step::{self, StepConfig};
use wgrad::train::{Confusion, Model, ModelConfig, Predictions, Trainer};

const BATCH_SIZE: usize = 14;
const N_CLASSES: usize = 7;

fn spec() -> ImageSpec {
    ImageSpec {
        size: [20, 24, 1].into(),
        classes: (0..N_CLASSES).map(|class| format!("place {class}")).collect(),
        mean: vec![0.2],
        standard_deviation: vec![0.3],
    }
}

/// Returns `n` images, each with a bright rectangle. The place of the rectangle determines the class.
fn images(n: usize) -> Split {
    let size = spec().size;
    let mut split = Split::new(size);
    for i in 0..n {
        let class = i * 3 % N_CLASSES;
        let (top, left) = (1 + class / 4 * 10, 1 + class % 4 * 6);
        let pixel = |at: usize| {
            let (row, column) = (at / size.width, at % size.width);
            let is_in = (top..top + 8).contains(&row) && (left..left + 5).contains(&column);
            (if is_in { 200 } else { 30 }) + ((at * 37 + i * 91) % 23) as u8
        };
        split.images.to_mut().extend((0..size.n_bytes()).map(pixel));
        split.labels.push(class as u16);
    }
    split
}

/// Returns the inputs of a network, `[N, 20, 24, 1]`, for the images of a batch.
fn inputs(device: &Device, config: &StepConfig, batch: &Batch, epoch: u32) -> Vec<f32> {
    let step = step::augmentation(config);
    let mut session = device.session(step.tape.state()).expect("a session");
    let id = session.load(&step.tape, LoadOptions::default()).expect("a small step");
    session.write(id, step.table, &config.table()).expect("written");
    session.write_words(id, step.pixels, &batch.pixels).expect("written");
    if let Some(sizes) = step.sizes {
        session.write_words(id, sizes, &batch.sizes).expect("written");
    }
    session.write_words(id, step.indices, &batch.indices).expect("written");
    session.run(id, &StepScalars { epoch, ..StepScalars::default() }).expect("a step");
    session.read(id, step.images).expect("read")
}

fn network(tape: &mut Tape, x: ValueId) -> ValueId {
    let x = nn::conv2d(tape, "conv", x, 8, Conv::default());
    let x = layers::relu(tape, "relu", x);
    let x = layers::max_pool2d(tape, "pool", x, 2);
    let x = layers::flatten(tape, "flatten", x);
    nn::linear(tape, "fc", x, N_CLASSES, true)
}

#[test]
fn a_network_learns_grey_images_of_20x24_pixels_in_seven_classes() {
    let device = Device::cpu(OpenOptions::default());
    let network_of_step = ResNet9 { width: 1, classes: N_CLASSES };
    let mut config = StepConfig::new(network_of_step, BATCH_SIZE).for_images(&spec());
    config.augmentation = AugmentFlags { flip: false, ..AugmentFlags::default() };
    let mut model =
        Model::new(&device, &ModelConfig::new(&spec().size.channels_last(), BATCH_SIZE), network)
            .expect("a model");
    let (train, test) = (images(10 * BATCH_SIZE), images(2 * BATCH_SIZE));
    let mut batch = Batch::new(BATCH_SIZE, train.size);
    for epoch in 0..6 {
        let order = epoch_order(0, epoch, train.len());
        for images in whole_batches(&order, BATCH_SIZE) {
            batch.fill(&train, images);
            let x = inputs(&device, &config, &batch, epoch as u32);
            model.train_step(&x, &batch.labels, 0.01).expect("a step");
        }
    }
    config.augmentation = AugmentFlags::NONE;
    let mut logits = Vec::new();
    for images in whole_batches(&in_order(test.len()), BATCH_SIZE) {
        batch.fill(&test, images);
        let x = inputs(&device, &config, &batch, 0);
        // Without augmentation, the input of the network is the normalised image.
        let first = test.image(images[0] as usize)[25];
        assert_eq!(x[25], ((f64::from(first) / 255.0 - 0.2) / 0.3) as f32);
        logits.extend(model.predict(&x).expect("logits"));
    }
    let predictions = Predictions::from_logits(&logits, N_CLASSES);
    let confusion: Confusion = predictions.confusion(&test.labels);
    assert!(confusion.accuracy() > Some(0.9), "{confusion:?}");
}

#[test]
fn the_default_network_trains_on_them_in_steps_of_a_run() {
    let device = Device::cpu(OpenOptions::default());
    let network = ResNet9 { width: 4, classes: N_CLASSES };
    let mut config = StepConfig::new(network, BATCH_SIZE).for_images(&spec());
    config.augmentation = AugmentFlags { flip: false, ..AugmentFlags::default() };
    let mut trainer = Trainer::new(&device, &config, 0).expect("a trainer");
    let (train, test) = (images(10 * BATCH_SIZE), images(2 * BATCH_SIZE + 3));
    for epoch in 0..6 {
        let order = epoch_order(0, epoch as u64, train.len());
        for images in whole_batches(&order, BATCH_SIZE) {
            trainer.step(&train, images, epoch, 0.01).expect("a step");
        }
    }
    let metrics = trainer.evaluate(&test, &|| false).expect("an evaluation").expect("metrics");
    assert_eq!(metrics.n_images as usize, test.len());
    assert!(metrics.accuracy() > 0.8, "{metrics:?}");
    let logits = trainer.logits(&test, &|| false).expect("an evaluation").expect("logits");
    assert_eq!(logits.len(), test.len() * N_CLASSES);
}

/// Returns the settings of a step with a random resized crop and without any other augmentation.
fn cropped(range: BoxRange) -> StepConfig {
    let network = ResNet9 { width: 1, classes: N_CLASSES };
    let config = StepConfig::new(network, BATCH_SIZE).for_images(&spec());
    StepConfig { augmentation: AugmentFlags::NONE, resized_crop: Some(range), ..config }
}

#[test]
fn a_resized_crop_of_the_whole_image_is_the_image() {
    let device = Device::cpu(OpenOptions::default());
    let train = images(BATCH_SIZE);
    let mut batch = Batch::new(BATCH_SIZE, train.size);
    batch.fill(&train, &in_order(BATCH_SIZE));
    let whole = BoxRange { scale: [1.0, 1.0], ratio: [1.2, 1.2] };
    let config = cropped(whole);
    let plain = StepConfig { resized_crop: None, ..config.clone() };
    let images = inputs(&device, &config, &batch, 0);
    assert_eq!(images, inputs(&device, &plain, &batch, 0));
    let part = inputs(&device, &cropped(random_resized_crop::RANGE), &batch, 0);
    assert_ne!(part, images);
    let erased = StepConfig { random_erasing: 1.0, ..config };
    let n_zeros = inputs(&device, &erased, &batch, 0).iter().filter(|x| **x == 0.0).count();
    // A box has 2% to 33% of an image.
    let n_pixels = BATCH_SIZE * 20 * 24;
    assert!((n_pixels / 50..n_pixels / 3).contains(&n_zeros), "{n_zeros} of {n_pixels}");
}

#[test]
fn pictures_with_sizes_of_their_own_become_images_of_one_size() {
    let device = Device::cpu(OpenOptions::default());
    let n_bytes = 50 * 61;
    let config = StepConfig { largest_image: Some(n_bytes), ..cropped(random_resized_crop::RANGE) };
    let mut batch = Batch::with_room(BATCH_SIZE, n_bytes);
    let pixels: &mut [u8] = bytemuck::cast_slice_mut(&mut batch.pixels);
    for (row, size) in batch.sizes.chunks_exact_mut(2).enumerate() {
        size.copy_from_slice(&if row % 2 == 0 { [50, 61] } else { [7, 30 + row as u32] });
        // The bytes behind a picture are white, and no image shows them.
        let pixels = &mut pixels[row * n_bytes..][..n_bytes];
        pixels.fill(255);
        pixels[..(size[0] * size[1]) as usize].fill(row as u8);
    }
    let images = inputs(&device, &config, &batch, 0);
    for (row, image) in images.chunks_exact(20 * 24).enumerate() {
        assert!(image.iter().all(|&x| x == config.table()[row]), "picture {row}");
    }
}

#[test]
fn labels_have_16_bits() {
    let mut split = images(2);
    split.labels = vec![65_534, 256];
    let mut batch = Batch::new(3, split.size);
    batch.fill(&split, &[0, 1]);
    assert_eq!(batch.labels[..2], [65_534, 256]);
}
