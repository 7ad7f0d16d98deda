//! Training with each optimizer, with averaged weights and clipped gradients. Training from a restored state continues
//! with the same bits, and kernels over flat buffers give the same bits in one dispatch or several.

mod common;

use wgrad::base::choice::Choice;
use wgrad::data::shapes;
use wgrad::device::{Device, OpenOptions};
use wgrad::nn::ResNet9;
use wgrad::ops::optimizer::{Hyperparameters, WeightDecay};
use wgrad::ops::optimizers::{AnyOptimizer, OptimizerKind};
use wgrad::tape::StateBuffer;
use wgrad::train::step::StepConfig;
use wgrad::train::{Model, ModelConfig, Snapshot, Trainer};

const BATCH_SIZE: usize = 8;

/// Returns every optimizer with momentum 0.9, and SGD also without momentum. The weight decay leaves out biases and
/// batch norm.
fn optimizers() -> Vec<AnyOptimizer> {
    let weight_decay = WeightDecay::of_all(0.5).partial();
    let plain = Hyperparameters { weight_decay, ..Hyperparameters::default() };
    let momentum = Hyperparameters { momentum: 0.9, nesterov: true, ..plain };
    let with_momentum = OptimizerKind::values().map(|kind| kind.with(momentum));
    with_momentum.chain([OptimizerKind::Sgd.with(plain)]).collect()
}

fn config(width: usize, optimizer: AnyOptimizer) -> StepConfig {
    let mut config = StepConfig::new(ResNet9 { width, classes: 10 }, BATCH_SIZE);
    config.update.optimizer = optimizer;
    config.update.ema = Some(0.9);
    config.update.clip_grad_norm = Some(0.5);
    config
}

fn train(trainer: &mut Trainer, steps: std::ops::Range<usize>) -> Snapshot {
    let split = shapes::draw_train(0, 4 * BATCH_SIZE);
    for step in steps {
        let first = step % 4 * BATCH_SIZE;
        let images: Vec<u32> = (first..first + BATCH_SIZE).map(|ix| ix as u32).collect();
        trainer.step(&split, &images, step / 4, 0.01).expect("a step");
    }
    trainer.state.snapshot().expect("a snapshot")
}

#[test]
fn training_with_each_optimizer_continues_from_a_snapshot_with_the_same_bits() {
    for device in [Device::cpu(OpenOptions::default()), common::open(OpenOptions::default())] {
        let mut ends: Vec<Snapshot> = Vec::new();
        for optimizer in optimizers() {
            let new = || Trainer::new(&device, &config(4, optimizer), 1).expect("a trainer");
            let mut straight = new();
            let halfway = train(&mut straight, 0..2);
            let end = train(&mut straight, 2..4);
            let mut resumed = new();
            resumed.state.restore(&halfway).expect("restored");
            assert!(train(&mut resumed, 2..4) == end, "{optimizer:?} on {}", device.name());
            assert!(end.buffers[0].iter().all(|p| p.is_finite()));
            assert!(ends.iter().all(|other| other.buffers[0] != end.buffers[0]), "{optimizer:?}");
            ends.push(end);
        }
    }
}

/// The flat buffers of this network have 1.6 MiB. With segments of at most 1 MiB, a kernel runs once for each of two
/// segments.
#[test]
fn segments_of_1_mib_change_no_bit_of_a_step() {
    let open = |max_segment| common::open(OpenOptions { max_segment, ..OpenOptions::default() });
    let (whole, cut) = (open(None), open(Some(1 << 20)));
    for optimizer in optimizers() {
        let end = |device| {
            let mut trainer = Trainer::new(device, &config(16, optimizer), 1).expect("a trainer");
            let bytes = 4 * trainer.state.layout.n_elements(StateBuffer::Parameters);
            assert!(bytes > 3 << 19, "{bytes} bytes");
            train(&mut trainer, 0..2)
        };
        assert!(end(&whole) == end(&cut), "{optimizer:?}: segments give other bits");
    }
}

/// Compares three weight decays after one step from the same weights: none, full, and without the bias. The last one
/// gives the weight of the full decay and the bias of no decay.
#[test]
fn a_partial_decay_leaves_out_the_bias() {
    for device in [Device::cpu(OpenOptions::default()), common::open(OpenOptions::default())] {
        for kind in OptimizerKind::values() {
            let step = |weight_decay| {
                let mut config = ModelConfig::new(&[5], 2);
                config.update.optimizer =
                    kind.with(Hyperparameters { weight_decay, ..Hyperparameters::default() });
                let network = |tape: &mut _, x| wgrad::nn::linear(tape, "fc", x, 3, true);
                let mut model = Model::new(&device, &config, network).expect("a model");
                let x: Vec<f32> = (0..10).map(|ix| (ix as f32).sin()).collect();
                model.train_step(&x, &[0, 2], 0.1).expect("a step");
                ["fc.weight", "fc.bias"].map(|name| model.state.member(name).expect("read"))
            };
            let full = WeightDecay::of_all(50.0);
            let (none, all, partial) =
                (step(WeightDecay::default()), step(full), step(full.partial()));
            assert!(none[0] != all[0], "{kind:?}: the decay has an effect");
            let (weight, bias) = (&partial[0], &partial[1]);
            assert!(*weight == all[0] && *bias == none[1], "{kind:?} on {}", device.name());
        }
    }
}
