//! Networks for small images learn: in a few steps on the same images the loss falls. A run depends on its seed and on
//! nothing else.

use wgrad::data::{batches, shapes};
use wgrad::device::{Device, OpenOptions};
use wgrad::nn::NetworkConfig;
use wgrad::nn::networks::by_name;
use wgrad::nn::networks::pre_activation::{self, PreActivation};
use wgrad::ops::augment::AugmentFlags;
use wgrad::ops::optimizers::OptimizerKind;
use wgrad::train::Trainer;
use wgrad::train::step::StepConfig;

const BATCH_SIZE: usize = 32;
const N_STEPS: usize = 20;

/// Members of each family with few layers and a small width, because the tests have two cores.
const MEMBERS: &[(&str, usize)] = &[
    ("resnet20", 8),
    ("resnet20-b", 8),
    ("plain20", 8),
    ("resnet20-concat", 8),
    ("preact20", 8),
    ("preact164 with two blocks a stage", 8),
    ("wrn-10-2", 8),
    ("wrn-10-2-dropout", 8),
    ("resnext29-2x16d", 8),
    ("res2next29-6cx24wx4s", 4),
    ("resnet18-cifar", 8),
    ("resnet50-cifar", 4),
    ("pyramid20-a48", 8),
    ("pyramid29b-a24", 8),
    ("attention56-cifar", 4),
];

/// Returns the losses of the steps, which all have the same images.
fn losses(name: &str, width: usize, seed: u64) -> Vec<f64> {
    let device = Device::cpu(OpenOptions::default());
    let network = match name.strip_suffix(" with two blocks a stage") {
        // A network of 164 layers needs more than 20 steps.
        Some(name) => {
            let named = pre_activation::named(name).expect("a network");
            Box::leak(Box::new(PreActivation { depths: vec![2; 3], ..named }))
        }
        None => by_name(name).expect("a network"),
    };
    let network = NetworkConfig::new(network, width, 10);
    let mut config = StepConfig::new(network, BATCH_SIZE);
    config.augmentation =
        AugmentFlags { crop: false, flip: false, cutout: false, ..config.augmentation };
    config.update.optimizer = OptimizerKind::AdamW.with(Default::default());
    let mut trainer = Trainer::new(&device, &config, seed).expect("a small network");
    let split = shapes::draw_train(0, BATCH_SIZE);
    let images = batches::in_order(BATCH_SIZE);
    let step = |_| {
        trainer.step(&split, &images, 0, 0.003).expect("a step");
        trainer.state.take_metrics().expect("metrics").loss()
    };
    (0..N_STEPS).map(step).collect()
}

#[test]
fn each_member_learns() {
    for &(name, width) in MEMBERS {
        let losses = losses(name, width, 0);
        let mean = |losses: &[f64]| losses.iter().sum::<f64>() / losses.len() as f64;
        let (first, last) = (mean(&losses[..5]), mean(&losses[N_STEPS - 5..]));
        assert!(losses.iter().all(|loss| loss.is_finite()), "{name}: {losses:?}");
        assert!(last < first, "{name}: {losses:?}");
    }
}

#[test]
fn a_run_depends_on_its_seed_alone() {
    for (name, width) in [("wrn-10-2-dropout", 4), ("attention56-cifar", 2)] {
        let once = losses(name, width, 1);
        assert_eq!(losses(name, width, 1), once, "{name}");
        assert_ne!(losses(name, width, 2), once, "{name}");
    }
}
