//! A run gives the same bits on each device, independently of earlier work and of the number of threads.

use std::fs;

use wgrad::data::{Split, batches, shapes};
use wgrad::device::{Device, OpenOptions};
use wgrad::nn::ResNet9;
use wgrad::ops::augment::ColorJitter;
use wgrad::ops::random_resized_crop;
use wgrad::tape::StateBuffer;
use wgrad::train::Trainer;
use wgrad::train::step::StepConfig;

const BATCH_SIZE: usize = 12;

fn open(device: &str) -> Device {
    Device::open(device, OpenOptions::default()).expect("the device opens")
}

fn config() -> StepConfig {
    // The width is not a multiple of 4, the length of a vector, and every augmentation is on.
    StepConfig {
        resized_crop: Some(random_resized_crop::RANGE),
        jitter: ColorJitter { brightness: 0.2, contrast: 0.2, saturation: 0.2 },
        random_erasing: 0.5,
        ..StepConfig::new(ResNet9 { width: 5, classes: 10 }, BATCH_SIZE)
    }
}

fn trainer(device: &Device, seed: u64) -> Trainer {
    Trainer::new(device, &config(), seed).expect("the steps compile")
}

/// Trains for `n_steps` steps.
fn train(trainer: &mut Trainer, split: &Split, epoch: usize, n_steps: usize) {
    let order = batches::epoch_order(7, epoch as u64, split.len());
    for images in batches::whole_batches(&order, BATCH_SIZE).take(n_steps) {
        trainer.step(split, images, epoch, 0.01).expect("a step");
    }
}

/// Returns the bytes of the weights file after a short run.
fn model_file(device: &Device, seed: u64) -> Vec<u8> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("model.safetensors");
    let split = shapes::draw_train(0, 3 * BATCH_SIZE);
    let mut trainer = trainer(device, seed);
    train(&mut trainer, &split, 0, 3);
    trainer
        .state
        .weights()
        .and_then(|weights| Ok(weights.save(&trainer.state.layout, None, &path)?))
        .expect("saved");
    fs::read(path).expect("it is there")
}

fn the_seed_decides_every_bit(device: &Device) {
    let first = model_file(device, 1);
    assert!(first == model_file(device, 1), "the same seed, other weights");
    assert!(first != model_file(device, 2), "another seed, the same weights");
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let with_threads = |n: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build().expect("threads");
        pool.install(|| model_file(&open("cpu"), 1))
    };
    let one = with_threads(1);
    for n in [2, 3, 8] {
        assert!(one == with_threads(n), "{n} threads give other weights than one");
    }
}

/// All state that a step reads from earlier steps.
const STATE: [StateBuffer; 6] = [
    StateBuffer::Parameters,
    StateBuffer::Optimizer(0),
    StateBuffer::Optimizer(1),
    StateBuffer::RunningStatistics,
    StateBuffer::Metrics,
    StateBuffer::Control,
];

/// Gives the same state to a new trainer and to a used one. Their next steps must agree.
fn a_step_depends_on_the_state_alone(device: &Device) {
    let (split, other) =
        (shapes::draw_train(0, 2 * BATCH_SIZE), shapes::draw_test(1, 2 * BATCH_SIZE));
    let (mut fresh, mut used) = (trainer(device, 3), trainer(device, 3));
    let state = |trainer: &mut Trainer| {
        STATE.map(|buffer| trainer.state.session.read_state(buffer).expect("readable"))
    };
    let before = state(&mut used);
    used.warm_up().expect("two warm-up steps");
    assert_eq!(before, state(&mut used), "the warm-up changes the state");
    // Both trainers train two steps, so their step numbers for Adam agree. Then `used` gets the state of `fresh`.
    train(&mut fresh, &split, 0, 2);
    train(&mut used, &other, 1, 2);
    used.evaluate(&other, &|| false).expect("an evaluation");
    for (buffer, values) in STATE.into_iter().zip(state(&mut fresh)) {
        used.state.session.write_state(buffer, &values).expect("writable");
    }
    train(&mut fresh, &split, 2, 1);
    train(&mut used, &split, 2, 1);
    for buffer in StateBuffer::ALL {
        let [a, b] = [&mut fresh, &mut used]
            .map(|trainer| trainer.state.session.read_state(buffer).expect("readable"));
        let differs = a.iter().zip(&b).position(|(a, b)| a.to_bits() != b.to_bits());
        assert_eq!(differs, None, "{} depend on earlier steps", buffer.name());
    }
}

#[test]
fn the_cpu_is_deterministic() {
    let device = open("cpu");
    the_seed_decides_every_bit(&device);
    a_step_depends_on_the_state_alone(&device);
}

/// Tests all properties in one function, because this compiles the kernels only once. On a software adapter,
/// compilation takes most of the time.
#[test]
fn the_gpu_is_deterministic() {
    let device = open("gpu");
    the_seed_decides_every_bit(&device);
    a_step_depends_on_the_state_alone(&device);
}
