//! Fine-tuning: frozen parameters keep their bits and have no backward nodes, learning rates have factors, cached
//! features give the bits of a step without them, and all parameters can be trained later in a run.

mod common;

use wgrad::base::choice::Choice;
use wgrad::data::{Split, shapes};
use wgrad::device::{Device, OpenOptions};
use wgrad::nn::NetworkConfig;
use wgrad::nn::layers::{self, Conv};
use wgrad::nn::networks::by_name;
use wgrad::ops::augment::AugmentFlags;
use wgrad::ops::optimizer::{Hyperparameters, WeightDecay};
use wgrad::ops::optimizers::{AnyOptimizer, OptimizerKind};
use wgrad::passes::{Front, split_frozen};
use wgrad::tape::{ElementType, Mode, Phase, StateBuffer, StateEntry, Storage, Tape};
use wgrad::train::features::Images;
use wgrad::train::lr_find::curve::{Range, Rule};
use wgrad::train::lr_find::sweep;
use wgrad::train::step::{self, StepConfig};
use wgrad::train::{Snapshot, StepError, Trainer};

const BATCH_SIZE: usize = 8;

/// Returns the settings of a small ResNet-20 with averaged weights, clipped gradients and weight decay.
fn config(frozen: &str) -> StepConfig {
    let network = by_name("resnet20").expect("a network");
    let mut config = StepConfig::new(NetworkConfig::new(network, 8, 10), BATCH_SIZE);
    config.update.optimizer = optimizer(OptimizerKind::Adam);
    config.update.ema = Some(0.75);
    config.update.clip_grad_norm = Some(0.5);
    config.update.frozen = match frozen {
        "" => Default::default(),
        frozen => frozen.parse().expect("a list"),
    };
    config
}

fn optimizer(kind: OptimizerKind) -> AnyOptimizer {
    let weight_decay = WeightDecay::of_all(0.5);
    kind.with(Hyperparameters { momentum: 0.9, nesterov: true, weight_decay })
}

fn devices() -> [Device; 2] {
    [Device::cpu(OpenOptions::default()), common::open(OpenOptions::default())]
}

fn images() -> Split {
    shapes::draw_train(0, 4 * BATCH_SIZE)
}

fn train(trainer: &mut Trainer, images: Images<'_>, steps: std::ops::Range<usize>) -> Snapshot {
    for step in steps {
        let first = step % 4 * BATCH_SIZE;
        let numbers: Vec<u32> = (first..first + BATCH_SIZE).map(|ix| ix as u32).collect();
        trainer.step(images, &numbers, step / 4, 0.01).expect("a step");
    }
    trainer.state.snapshot().expect("a snapshot")
}

/// Returns the backward nodes of a training step: the layer and the op of each.
fn backward_nodes(tape: &Tape) -> Vec<(String, &'static str)> {
    let nodes = tape.nodes().iter().filter(|node| node.phase == Phase::Backward);
    nodes.map(|node| (node.scope.clone(), node.op.name())).collect()
}

/// The backward nodes of a step with frozen layers are those of the other layers in the whole step, without the
/// gradients of the first trained layer's input.
#[test]
fn frozen_layers_have_no_backward_nodes() {
    let [whole, frozen] =
        ["", "conv1,bn1,layer1,layer2"].map(|frozen| step::training(&config(frozen)).tape);
    let (whole, frozen) = (backward_nodes(&whole), backward_nodes(&frozen));
    let is_trained = |scope: &str| {
        !["conv1", "bn1", "relu", "layer1", "layer2"]
            .contains(&scope.split('.').next().expect("a part"))
    };
    let is_first_input = |(scope, op): &(String, &str)| match scope.as_str() {
        // The first convolution, and the shortcut beside it.
        "layer3.0.conv1" => *op == "conv2d.d_input",
        scope => scope.starts_with("layer3.0.shortcut"),
    };
    let expected: Vec<_> =
        whole.iter().filter(|node| is_trained(&node.0) && !is_first_input(node)).cloned().collect();
    assert_eq!(frozen, expected);
    assert_eq!([frozen.len(), whole.len()], [30, 93]);
    let head = step::training(&config("conv1,bn1,layer1,layer2,layer3")).tape;
    // The gradients of the weight and of the bias.
    assert_eq!(backward_nodes(&head).len(), 2, "{:?}", backward_nodes(&head));
}

#[test]
fn a_step_with_nothing_frozen_records_the_nodes_of_one_without_the_setting() {
    let signatures = |frozen: &str| {
        let tape = step::training(&config(frozen)).tape;
        tape.nodes().iter().map(|node| tape.signature(node)).collect::<Vec<_>>()
    };
    assert_eq!(signatures(""), signatures("no_such_layer"));
}

/// Returns true if the elements of a member are the same bits in two buffers.
fn is_same(a: &[f32], b: &[f32], member: &StateEntry) -> bool {
    let bits =
        |values: &[f32]| values[member.range()].iter().map(|v| v.to_bits()).collect::<Vec<_>>();
    bits(a) == bits(b)
}

#[test]
fn frozen_tensors_keep_their_bits_and_all_others_change() {
    let frozen = "conv1,bn1,layer1,layer3.1";
    for device in devices() {
        for kind in OptimizerKind::values() {
            let mut config = config(frozen);
            config.update.optimizer = optimizer(kind);
            let frozen = config.update.frozen.clone();
            let mut trainer = Trainer::new(&device, &config, 1).expect("a trainer");
            // Statistics other than the initial 0 and 1, and a state of the optimizer as from an earlier step.
            let mut start = trainer.state.snapshot().expect("a snapshot");
            for buffer in &mut start.buffers[1..4] {
                buffer.iter_mut().enumerate().for_each(|(ix, v)| *v = 0.5 + (ix % 7) as f32 / 16.0);
            }
            start.n_steps = 3;
            trainer.state.restore(&start).expect("restored");
            let (split, layout) = (images(), trainer.state.layout.clone());
            train(&mut trainer, (&split).into(), 0..3);
            let numbers: Vec<u32> = (0..2 * BATCH_SIZE as u32).collect();
            assert!(trainer.update_statistics(&split, &numbers, 0, &|| false).expect("statistics"));
            let end = trainer.state.snapshot().expect("a snapshot");
            let gradients = trainer.state.session.read_state(StateBuffer::Gradients).expect("read");
            let mut n_kept = 0;
            for (ix, buffer) in Snapshot::BUFFERS.into_iter().enumerate() {
                for member in layout.members(buffer) {
                    let is_kept = is_same(&start.buffers[ix], &end.buffers[ix], member);
                    let (name, is_frozen) = (&member.name, frozen.select(&member.name));
                    assert_eq!(is_kept, is_frozen, "{kind:?}, {name} in {}", buffer.name());
                    n_kept += usize::from(is_kept);
                }
            }
            assert!(n_kept > 80);
            // The clipped gradients of the trained parameters alone have the norm of the setting.
            let mut sum = 0.0;
            for member in &layout.parameters {
                let squares = gradients[member.range()].iter().map(|&g| f64::from(g).powi(2));
                match frozen.select(&member.name) {
                    true => assert_eq!(squares.sum::<f64>(), 0.0, "{}", member.name),
                    false => sum += squares.sum::<f64>(),
                }
            }
            assert!((sum.sqrt() - 0.5).abs() < 1e-4, "{}", sum.sqrt());
        }
    }
}

/// Half the learning rate for one layer gives the bits that a step at half the learning rate gives for this layer. AdamW
/// computes the factor of its weight decay in another way, so its results may differ by rounding.
#[test]
fn a_factor_scales_the_learning_rate_of_its_layers() {
    for device in devices() {
        for kind in OptimizerKind::values() {
            let end = |scale: &str, lr: f64| {
                let mut config = config("");
                config.update.optimizer = optimizer(kind);
                if !scale.is_empty() {
                    config.update.lr_scale = scale.parse().expect("a list");
                }
                let mut trainer = Trainer::new(&device, &config, 1).expect("a trainer");
                let numbers: Vec<u32> = (0..BATCH_SIZE as u32).collect();
                trainer.step(&images(), &numbers, 0, lr).expect("a step");
                (trainer.state.snapshot().expect("a snapshot"), trainer.state.layout.clone())
            };
            let (whole, layout) = end("", 0.25);
            let (half, scaled) = (end("", 0.125).0, end("layer2.1=0.5,linear=0.5", 0.25).0);
            for member in &layout.parameters {
                let is_scaled = ["layer2.1.", "linear."].iter().any(|p| member.name.starts_with(p));
                let expected = if is_scaled { &half } else { &whole };
                let [expected, found] =
                    [expected, &scaled].map(|state| &state.buffers[0][member.range()]);
                let tolerance = if kind == OptimizerKind::AdamW && is_scaled { 1e-6 } else { 0.0 };
                let is_close = |(a, b): (&f32, &f32)| (a - b).abs() <= tolerance * b.abs().max(0.1);
                assert!(found.iter().zip(expected).all(is_close), "{kind:?}: {}", member.name);
            }
        }
    }
}

/// A step from cached features, a step that computes the features anew, and a step that is not split give the same bits.
#[test]
fn cached_features_give_the_bits_of_a_step_without_them() {
    let none = AugmentFlags { crop: false, flip: false, cutout: false, ..AugmentFlags::default() };
    // The last layers, the head alone, and a first layer that reads features from the middle of a stage.
    for frozen in
        ["conv1,bn1,layer1", "conv1,bn1,layer1,layer2,layer3", "conv1,bn1,layer1.0,layer3"]
    {
        for device in devices() {
            let plain = StepConfig { augmentation: none, ..config(frozen) };
            let split_step = StepConfig { cache_features: true, ..config(frozen) };
            let pixels = images();
            let test = shapes::draw_test(0, 2 * BATCH_SIZE + 3);
            let end = |config: &StepConfig, is_cached: bool| {
                let mut trainer = Trainer::new(&device, config, 1).expect("a trainer");
                let never = || false;
                let mut features = |split, mode| {
                    let features = trainer.features(split, mode, &never).expect("they fit");
                    features.expect("not stopped")
                };
                let cached = is_cached
                    .then(|| [features(&pixels, Mode::Train), features(&test, Mode::Eval)]);
                let [trained, evaluated] = match &cached {
                    Some(features) => features.each_ref().map(Images::Features),
                    None => [&pixels, &test].map(Images::Pixels),
                };
                train(&mut trainer, trained, 0..3);
                let numbers: Vec<u32> = (0..2 * BATCH_SIZE as u32).collect();
                trainer.update_statistics(trained, &numbers, 0, &never).expect("statistics");
                let metrics = trainer.evaluate(evaluated, &never).expect("an evaluation");
                let logits = trainer.logits(evaluated, &never).expect("logits");
                (trainer.state.snapshot().expect("a snapshot"), metrics, logits)
            };
            let expected = end(&plain, false);
            assert!(end(&split_step, false) == expected, "{frozen}, computed, {}", device.name());
            assert!(end(&split_step, true) == expected, "{frozen}, cached, {}", device.name());
        }
    }
}

#[test]
fn features_that_do_not_fit_the_memory_are_refused_with_their_size() {
    let config = StepConfig { cache_features: true, ..config("conv1,bn1,layer1") };
    let device = Device::cpu(OpenOptions::default());
    let trainer = Trainer::new(&device, &config, 1).expect("a trainer");
    assert!(trainer.check_features(100, 10).is_ok());
    let error = trainer.check_features(1 << 30, 1 << 20).expect_err("32 TiB");
    let StepError::Features { n_images, bytes, .. } = &error else { panic!("{error}") };
    // The features of an image are 32 x 32 pixels of 8 channels.
    assert_eq!((*n_images, *bytes), ((1 << 30) + (1 << 20), 4 * 8192 * ((1 << 30) + (1 << 20))));
    let text = error.to_string();
    assert!(text.starts_with("cache-features: the features of 1074790400 images take "), "{text}");
}

/// From the step on at which everything is trained, a run has the bits of a new trainer that starts from the same weights
/// and statistics.
#[test]
fn unfreezing_begins_the_optimizer_anew_for_all_parameters() {
    for device in devices() {
        let (frozen, whole) = (config("conv1,bn1,layer1"), config(""));
        let split = images();
        let mut trainer = Trainer::new(&device, &frozen, 1).expect("a trainer");
        let halfway = train(&mut trainer, (&split).into(), 0..3);
        trainer.unfreeze(&whole).expect("unfrozen");
        let end = train(&mut trainer, (&split).into(), 3..6);

        let mut other = Trainer::new(&device, &whole, 1).expect("a trainer");
        let mut start = halfway.clone();
        start.buffers[2..4].iter_mut().for_each(|moments| moments.fill(0.0));
        other.state.restore(&start).expect("restored");
        other.state.optimizer_start = start.n_steps;
        let expected = train(&mut other, (&split).into(), 3..6);
        assert!(end == expected, "on {}", device.name());
        let changed = |ix: usize| end.buffers[ix] != halfway.buffers[ix];
        assert!(changed(0) && changed(1));
        let conv1 = &trainer.state.layout.parameters[0];
        assert!(!is_same(&end.buffers[0], &halfway.buffers[0], conv1), "conv1 is trained now");
    }
}

#[test]
fn a_sweep_changes_no_frozen_parameter() {
    let device = Device::cpu(OpenOptions::default());
    let config = config("conv1,bn1,layer1,layer2,layer3");
    let mut trainer = Trainer::new(&device, &config, 1).expect("a trainer");
    let before = trainer.state.snapshot().expect("a snapshot");
    let range = Range { start: 1e-3, end: 1.0, n_steps: 12, ..Range::default() };
    let found = sweep(&mut trainer, &images(), 1, range, Rule::Steepest, &|| false);
    let found = found.expect("it runs").expect("not stopped");
    assert!(!found.curve.points().is_empty());
    assert!(trainer.state.snapshot().expect("a snapshot") == before);
    // Only the head's gradients were computed.
    let gradients = trainer.state.session.read_state(StateBuffer::Gradients).expect("read");
    for member in &trainer.state.layout.parameters {
        let is_zero = gradients[member.range()].iter().all(|&gradient| gradient == 0.0);
        assert_eq!(is_zero, !member.name.starts_with("linear."), "{}", member.name);
    }
}

/// Returns the names of the moved and of the remaining nodes of a small network, and the names of the features.
fn split(frozen: &str) -> [Vec<String>; 3] {
    let mut tape = Tape::new("test", Mode::Train);
    tape.freeze(&frozen.parse().expect("a list"));
    let numbers = tape.input("numbers", ElementType::U32, &[2]);
    tape.set_image_numbers(numbers);
    let x = tape.input("x", ElementType::F32, &[2, 4, 4, 3]);
    let y = layers::conv2d(&mut tape, "conv1", x, 4, Conv::default());
    let y = layers::batch_norm(&mut tape, "bn1", y);
    let z = layers::conv2d(&mut tape, "conv2", y, 4, Conv::default());
    let z = layers::add(&mut tape, "add", z, y);
    let z = layers::dropout(&mut tape, "drop", z, 0.5);
    let z = layers::relu(&mut tape, "relu", z);
    let z = layers::flatten(&mut tape, "flatten", z);
    let logits = layers::linear(&mut tape, "fc", z, 2, true);
    tape.keep(logits);
    let Front { tape: front, features } = split_frozen(&mut tape, &[x]);
    assert!(features.iter().all(|&id| front.value(id).keep));
    assert!(features.iter().all(|&id| tape.value(id).storage == Storage::Input));
    let scopes =
        |tape: &Tape| tape.nodes().iter().map(|node| node.scope.clone()).collect::<Vec<_>>();
    let names = features.iter().map(|&id| tape.value(id).name.clone()).collect();
    [scopes(&front), scopes(&tape), names]
}

#[test]
fn nodes_before_the_first_trained_layer_are_moved() {
    let [moved, rest, features] = split("conv1,bn1");
    assert_eq!(moved, ["conv1", "bn1"]);
    assert_eq!(rest, ["conv2", "add", "drop", "relu", "flatten", "fc"]);
    assert_eq!(features, ["bn1.norm"]);
}

#[test]
fn a_node_that_reads_only_features_stays() {
    let mut tape = Tape::new("test", Mode::Train);
    tape.freeze(&"conv1".parse().expect("a list"));
    let x = tape.input("x", ElementType::F32, &[2, 4, 4, 3]);
    let y = layers::conv2d(&mut tape, "conv1", x, 4, Conv::default());
    let z = layers::conv2d(&mut tape, "conv2", y, 4, Conv::default());
    let shortcut = layers::channel_pad(&mut tape, "pad", y, 0, 0);
    layers::add(&mut tape, "add", z, shortcut);
    let front = split_frozen(&mut tape, &[x]);
    assert_eq!((front.features, front.tape.nodes().len()), (vec![y], 1));
}

#[test]
fn a_trained_batch_norm_and_random_draws_are_not_moved() {
    assert_eq!(split("conv1,conv2")[0], ["conv1"]);
    assert_eq!(split("conv1,bn1,conv2")[0], ["conv1", "bn1", "conv2", "add"]);
    assert_eq!(split("conv1,bn1,conv2")[2], ["add.sum"]);
    assert!(split("conv2,bn1")[0].is_empty());
}
