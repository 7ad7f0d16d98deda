//! Networks for small images learn: in a few steps the loss falls. A run depends on its seed and on nothing else.

use std::time::Instant;

use wgrad::data::{ReadOptions, Source, Split, batches, load, shapes};
use wgrad::device::{Device, OpenOptions};
use wgrad::nn::NetworkConfig;
use wgrad::nn::networks::pre_activation::{self, PreActivation};
use wgrad::nn::networks::{NETWORKS, by_name};
use wgrad::ops::augment::AugmentFlags;
use wgrad::ops::optimizer::Hyperparameters;
use wgrad::ops::optimizers::OptimizerKind;
use wgrad::passes::Work;
use wgrad::train::Trainer;
use wgrad::train::step::StepConfig;

const BATCH_SIZE: usize = 32;
const N_STEPS: usize = 20;

/// Trains a network by AdamW, and returns the losses of the steps. Step i reads the i-th batch of `order`, numbers of images in
/// `split`.
fn losses(network: NetworkConfig, lr: f64, split: &Split, order: &[u32], seed: u64) -> Vec<f64> {
    let device = Device::cpu(OpenOptions::default());
    let mut config = StepConfig::new(network, BATCH_SIZE);
    config.augmentation =
        AugmentFlags { crop: false, flip: false, cutout: false, ..config.augmentation };
    config.update.optimizer = OptimizerKind::AdamW.with(Hyperparameters::default());
    let mut trainer = Trainer::new(&device, &config, seed).expect("a network that fits");
    let step = |images| {
        trainer.step(split, images, 0, lr).expect("a step");
        trainer.state.take_metrics().expect("metrics").loss()
    };
    batches::whole_batches(order, BATCH_SIZE).map(step).collect()
}

/// Returns the mean losses of the first five steps and of the last five.
fn first_and_last(losses: &[f64]) -> [f64; 2] {
    let mean = |losses: &[f64]| losses.iter().sum::<f64>() / losses.len() as f64;
    [mean(&losses[..5]), mean(&losses[losses.len() - 5..])]
}

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

/// Returns the losses of steps that all have the same images.
fn losses_on_one_batch(name: &str, width: usize, n_steps: usize, seed: u64) -> Vec<f64> {
    let network = match name.strip_suffix(" with two blocks a stage") {
        // A network of 164 layers needs more than 20 steps.
        Some(name) => {
            let named = pre_activation::named(name).expect("a network");
            Box::leak(Box::new(PreActivation { depths: vec![2; 3], ..named }))
        }
        None => by_name(name).expect("a network"),
    };
    let network = NetworkConfig::new(network, width, 10);
    let order = batches::in_order(BATCH_SIZE).repeat(n_steps);
    losses(network, 0.003, &shapes::draw_train(0, BATCH_SIZE), &order, seed)
}

#[test]
fn each_member_learns() {
    for &(name, width) in MEMBERS {
        let losses = losses_on_one_batch(name, width, N_STEPS, 0);
        let [first, last] = first_and_last(&losses);
        assert!(losses.iter().all(|loss| loss.is_finite()), "{name}: {losses:?}");
        assert!(last < first, "{name}: {losses:?}");
    }
}

#[test]
fn a_run_depends_on_its_seed_alone() {
    for &(name, width) in MEMBERS {
        let [once, again, other] = [1, 1, 2].map(|seed| losses_on_one_batch(name, width, 3, seed));
        assert_eq!(once, again, "{name}");
        assert_ne!(once, other, "{name}");
    }
}

/// The number of batches after which the images repeat. The last five steps have the images of the first five, because
/// some images are harder than others: the mean losses of the same network on two groups of five batches differ by 0.1.
const N_BATCHES: usize = 15;

/// The number of multiplications that a forward pass on one image may take in the test on photographs.
const MOST_MULTIPLICATIONS: u64 = 1_000_000_000;

/// Returns the multiplications of convolutions and linear layers for one image of CIFAR-10.
fn multiplications(network: &NetworkConfig) -> u64 {
    let is_product = |name: &str| name.starts_with("conv2d") || name.starts_with("linear");
    Work::sum_of(&network.tape([32, 32, 3]), |node| is_product(node.op.name())).flops / 2
}

/// The learning rate of the run on photographs, constant. The schedule of the default recipe begins with 0.001, for batches of
/// 512 images. The gradient of 32 images has four times the noise, so the rate is a quarter. With 0.001 the last layer of
/// `preact164` follows the labels of single batches, and the loss does not fall.
const LR: f64 = 0.001 / 4.0;

/// Every network for images of 32x32 pixels, at its own width or, if an image costs more than 10^9 multiplications, at a
/// half of it or a quarter. The images are those of `$WGRAD_DATA`. The variable `MEMBERS` selects the networks whose names
/// contain its value.
///
/// ```text
/// WGRAD_DATA=FOLDER cargo test --release --test cifar_members -- --ignored --nocapture photographs
/// ```
///
/// `docs/networks.md` has the results.
#[test]
#[ignore = "takes 12 minutes of two cores; reads CIFAR-10 from the folder in $WGRAD_DATA"]
fn each_network_for_cifar_learns_from_photographs() {
    let data = load(Source::CIFAR10, None, ReadOptions::default()).expect("CIFAR-10");
    let split = data.dataset.train;
    let mut order = batches::epoch_order(0, 0, split.len());
    order.truncate(N_BATCHES * BATCH_SIZE);
    order.extend_from_within(..(N_STEPS - N_BATCHES) * BATCH_SIZE);
    let selected = std::env::var("MEMBERS").unwrap_or_default();
    let mut failed = Vec::new();
    println!(
        "network width GMAC, loss of the first and the last five steps with seeds 1 and 2, seconds"
    );
    for &network in NETWORKS.iter().filter(|network| network.default_image()[0] == 32) {
        let name = network.name();
        if !name.contains(&selected) {
            continue;
        }
        let mut network = NetworkConfig::new(network, network.default_width(), 10);
        while multiplications(&network) > MOST_MULTIPLICATIONS {
            network.width /= 2;
        }
        let start = Instant::now();
        let run = |n_steps, seed| losses(network, LR, &split, &order[..n_steps * BATCH_SIZE], seed);
        let [one, two] = [1, 2].map(|seed| run(N_STEPS, seed));
        let again = run(5, 1);
        let [[first_1, last_1], [first_2, last_2]] =
            [&one, &two].map(|losses| first_and_last(losses));
        let giga = multiplications(&network) as f64 / 1e9;
        let seconds = start.elapsed().as_secs_f64();
        let width = network.width;
        println!(
            "{name:22} {width:3} {giga:.3}  {first_1:.3} {last_1:.3}  {first_2:.3} {last_2:.3}  {seconds:.0}"
        );
        let is_finite = one.iter().chain(&two).all(|loss| loss.is_finite());
        if !is_finite || last_1 >= first_1 || last_2 >= first_2 || one == two || one[..5] != again {
            failed.push(format!("{name}: {one:?}, {two:?}, {again:?}"));
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}
