//! The whole engine learns: it overfits 64 images with random labels within 100 steps. This requires correct gradients.

use wgrad::data::{Split, shapes};
use wgrad::device::{Device, OpenOptions};
use wgrad::nn::ResNet9;
use wgrad::ops::augment::AugmentFlags;
use wgrad::train::Trainer;
use wgrad::train::step::StepConfig;

const N_IMAGES: usize = 64;

/// Returns images, each with the label of another image.
fn images_with_shuffled_labels() -> Split {
    let mut split = shapes::draw_train(0, N_IMAGES);
    let order = wgrad::data::batches::epoch_order(1, 0, N_IMAGES);
    split.labels = order.iter().map(|&ix| split.labels[ix as usize]).collect();
    split
}

/// Returns the number of steps until every image is classified as its label, in evaluation mode.
fn steps_to_overfit(device: &str) -> Option<usize> {
    let device = Device::open(device, OpenOptions::default()).expect("the device opens");
    let split = images_with_shuffled_labels();
    let mut config = StepConfig::new(ResNet9 { width: 8, classes: 10 }, N_IMAGES);
    config.augmentation = AugmentFlags::NONE;
    let mut trainer = Trainer::new(&device, &config, 0).expect("the steps compile");

    let order: Vec<u32> = (0..N_IMAGES as u32).collect();
    let steps = (1..=100).find(|step| {
        trainer.step(&split, &order, 0, 0.005).expect("a step");
        // An evaluation takes a third of a step's time, so it runs only after every tenth step.
        step % 10 == 0 && {
            let metrics = trainer.evaluate(&split, &|| false).expect("an evaluation");
            metrics.expect("nothing stops it").accuracy() == 1.0
        }
    });
    eprintln!("{}: {steps:?} steps", device.name());
    steps
}

#[test]
fn the_cpu_overfits_64_images() {
    assert!(steps_to_overfit("cpu").is_some());
}

#[test]
fn the_gpu_overfits_64_images() {
    assert!(steps_to_overfit("gpu").is_some());
}
