//! Dropout in steps: the mask of an image does not depend on its batch, differs from step to step, and is the same after
//! a break.

mod common;

use std::collections::HashSet;
use std::sync::Arc;

use common::open_gpu;
use wgrad::data::{Split, batches, shapes};
use wgrad::device::gpu::ShaderLibrary;
use wgrad::device::{Device, LoadOptions, OpenOptions};
use wgrad::kernel::{Kernels, StepScalars, Target};
use wgrad::nn::networks::{self, Sizes};
use wgrad::nn::{self, Conv, Heads, Network, NetworkConfig, layers};
use wgrad::passes::{Plan, PlanOptions};
use wgrad::tape::{ElementType, Mode, Tape, ValueId};
use wgrad::train::step::{self, StepConfig};
use wgrad::train::{Model, ModelConfig, Trainer};

const BATCH_SIZE: usize = 12;

/// A convolution, a dropout, a pool and a linear layer.
#[derive(Debug)]
struct Dropped;

impl Network for Dropped {
    fn name(&self) -> &str {
        "dropped"
    }

    fn description(&self) -> &str {
        "a network with dropout, for tests"
    }

    fn default_width(&self) -> usize {
        8
    }

    fn default_image(&self) -> [usize; 3] {
        [32, 32, 3]
    }

    fn stem(&self) -> String {
        "conv.weight".to_string()
    }

    fn head(&self) -> String {
        "fc.weight".to_string()
    }

    fn record(&self, tape: &mut Tape, x: ValueId, sizes: Sizes) -> Heads {
        let x = nn::conv2d(tape, "conv", x, sizes.width, Conv::default());
        let x = layers::dropout(tape, "drop", x, 0.5);
        let x = layers::global_max_pool2d(tape, "pool", x);
        let x = layers::flatten(tape, "flatten", x);
        nn::linear(tape, "fc", x, sizes.classes, true).into()
    }
}

static DROPPED: Dropped = Dropped;

fn devices() -> [Device; 2] {
    let gpu = open_gpu(Kernels::Default, ShaderLibrary::default());
    [Device::cpu(OpenOptions::default()), gpu]
}

fn trainer(device: &Device) -> Trainer {
    let network = NetworkConfig::new(&DROPPED, 8, 10);
    Trainer::new(device, &StepConfig::new(network, BATCH_SIZE), 1).expect("a small network")
}

/// Trains on batches `range` of epoch 0.
fn train(trainer: &mut Trainer, split: &Split, range: std::ops::Range<usize>) {
    let order = batches::epoch_order(0, 0, split.len());
    let batches = batches::whole_batches(&order, BATCH_SIZE);
    for images in batches.skip(range.start).take(range.len()) {
        trainer.step(split, images, 0, 0.01).expect("a step");
    }
}

#[test]
fn training_from_a_copy_of_the_state_has_the_same_bits() {
    let split = shapes::draw_train(0, 4 * BATCH_SIZE);
    for device in devices() {
        let mut whole = trainer(&device);
        train(&mut whole, &split, 0..2);
        let copy = whole.state.snapshot().expect("a copy");
        train(&mut whole, &split, 2..4);
        let mut resumed = trainer(&device);
        resumed.state.restore(&copy).expect("restored");
        train(&mut resumed, &split, 2..4);
        let expected = whole.state.snapshot().expect("a copy");
        assert!(resumed.state.snapshot().expect("a copy") == expected, "{}", device.name());
    }
}

#[test]
fn the_mask_of_an_image_does_not_depend_on_its_batch() {
    const SIZE: usize = 10;
    let mask = |device: &Device, numbers: &[u32]| {
        let mut tape = Tape::new("test", Mode::Train);
        let x = tape.input("x", ElementType::F32, &[numbers.len(), SIZE]);
        let ids = tape.input("numbers", ElementType::U32, &[numbers.len()]);
        tape.set_image_numbers(ids);
        let y = layers::dropout(&mut tape, "drop", x, 0.5);
        tape.keep(y);
        let mut session = device.session(tape.state()).expect("a session");
        let id = session.load(&Arc::new(tape), LoadOptions::default()).expect("a program");
        session.write(id, x, &vec![1.0; SIZE * numbers.len()]).expect("written");
        session.write_words(id, ids, numbers).expect("written");
        let step = StepScalars { seed: [1, 2], epoch: 3, ..StepScalars::default() };
        session.run(id, &step).expect("a run");
        session.read(id, y).expect("the masks")
    };
    let [cpu, gpu] = devices();
    let of_seven = mask(&cpu, &[7]);
    let in_batch = mask(&cpu, &[3, 7, 9]);
    assert_eq!(in_batch[SIZE..2 * SIZE], of_seven);
    assert_ne!(in_batch[..SIZE], of_seven);
    assert_eq!(mask(&gpu, &[3, 7, 9]), in_batch);
}

#[test]
fn the_masks_of_a_model_differ_from_step_to_step() {
    let network = |tape: &mut Tape, x| {
        let x = layers::dropout(tape, "drop", x, 0.5);
        nn::linear(tape, "fc", x, 3, true)
    };
    let losses = || {
        let device = Device::cpu(OpenOptions::default());
        let config = ModelConfig::new(&[16], 4);
        let mut model = Model::new(&device, &config, network).expect("a model");
        let (x, labels) = ([1.0; 64], [0, 1, 2, 0]);
        // At the learning rate 0, only the masks can change the loss.
        let step = |_| {
            model.train_step(&x, &labels, 0.0).expect("a step");
            model.state.take_metrics().expect("metrics").loss()
        };
        let losses: Vec<f64> = (0..3).map(step).collect();
        let evaluate = |model: &mut Model| model.evaluate(&x, &labels).expect("metrics").loss();
        assert_eq!(evaluate(&mut model), evaluate(&mut model));
        losses
    };
    let first = losses();
    assert!(first[0] != first[1] && first[1] != first[2] && first[0] != first[2], "{first:?}");
    assert_eq!(first, losses());
}

#[test]
fn layers_of_one_shape_share_a_pipeline() {
    let network = networks::by_name("wrn-28-10-dropout").expect("a name");
    let tape = step::training(&StepConfig::new(NetworkConfig::new(network, 16, 10), 2)).tape;
    let target = Some(Target::new(Kernels::Default));
    let plan = Plan::new(&tape, PlanOptions { target, ..PlanOptions::default() });
    let dropouts = tape.nodes().iter().zip(&plan.launches);
    let dropouts: Vec<_> = dropouts.filter(|(node, _)| node.op.name() == "dropout.apply").collect();
    let signatures: HashSet<_> = dropouts.iter().map(|(node, _)| tape.signature(node)).collect();
    let shaders = dropouts.iter().flat_map(|(_, launch)| &launch.dispatches);
    let shaders: HashSet<_> = shaders.map(|dispatch| &dispatch.shader).collect();
    // Three stages of four blocks have one dropout each, and each dropout has a gradient.
    assert_eq!((dropouts.len(), signatures.len(), shaders.len()), (24, 3, 3));
}
