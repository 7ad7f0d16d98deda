//! Numbers that are not finite: each is detected, none gets into the state, and a run that skips such steps continues.

mod common;

use std::sync::Arc;

use common::open_gpu;
use wgrad::Error;
use wgrad::data::shapes;
use wgrad::device::gpu::ShaderLibrary;
use wgrad::device::{Device, LoadOptions, OpenOptions};
use wgrad::kernel::{Kernels, StepScalars};
use wgrad::nn::layers::Conv;
use wgrad::nn::{self, ResNet9};
use wgrad::ops::finite_check::{OnNonFinite, STOPPED};
use wgrad::ops::{Window, max_pool2d, metrics};
use wgrad::passes::{self, fuse::Fusion};
use wgrad::tape::{ElementType, Mode, StateBuffer, Tape, ValueId};
use wgrad::train::step::StepConfig;
use wgrad::train::{Model, ModelConfig, Snapshot, StepError, Trainer, UpdateConfig};

/// Returns the devices of every test in this file: the CPU, and a GPU with both sets of kernels.
fn devices() -> [(&'static str, Device); 3] {
    let gpu = |kernels| open_gpu(kernels, ShaderLibrary::default());
    [
        ("cpu", Device::cpu(OpenOptions::default())),
        ("gpu, naive", gpu(Kernels::Naive)),
        ("gpu", gpu(Kernels::Default)),
    ]
}

/// Runs a convolution and a pool on `x`, `[2, 8, 8, 3]`, fused or not. Returns the bits of the pool's output, and the
/// indices of its maxima.
fn conv_and_pool(device: &Device, fusion: Fusion, x: &[f32]) -> (Vec<u32>, Vec<u32>) {
    let mut tape = Tape::new("test", Mode::Train);
    let input = tape.input("x", ElementType::F32, &[2, 8, 8, 3]);
    let conv = nn::conv2d(&mut tape, "conv", input, 5, Conv::default());
    let pooled = max_pool2d::max_pool2d(&mut tape, conv, Window::square(2, 2, 0));
    passes::fuse(&mut tape, fusion);
    let index = ValueId::clone(&tape.nodes().last().expect("a pool").outputs[1]);
    [pooled, index].into_iter().for_each(|value| tape.keep(value));
    let mut session = device.session(tape.state()).expect("a session");
    let program = session.load(&Arc::new(tape.clone()), LoadOptions::default()).expect("loads");
    let weights = nn::Weights::initial(tape.state(), 3);
    session.write_state(StateBuffer::Parameters, &weights.parameters).expect("written");
    session.write(program, input, x).expect("written");
    session.run(program, &StepScalars::default()).expect("a run");
    let pooled = session.read(program, pooled).expect("read");
    // The payload of a NaN differs between devices, so every NaN gets the same bits.
    let bits = |v: f32| if v.is_nan() { f32::NAN.to_bits() } else { v.to_bits() };
    let index = session.read_words(program, index).expect("read");
    (pooled.into_iter().map(bits).collect(), index)
}

/// A pixel that is NaN makes nine outputs of the convolution NaN. Together, these outputs lie at every position of a
/// window of the pool, some alone and some with another NaN in their window. Of the pool's outputs, the test compares
/// only the NaNs and the indices, because the devices round the other numbers differently.
#[test]
fn a_pool_keeps_a_nan_at_any_position_of_its_window() {
    let mut x: Vec<f32> = (0..2 * 8 * 8 * 3).map(|ix| (ix as f32 * 0.7).sin()).collect();
    for pixel in [2 * 8 + 3, 64 + 5 * 8 + 6] {
        x[3 * pixel] = f32::NAN;
    }
    let expected = conv_and_pool(&Device::cpu(OpenOptions::default()), Fusion::NONE, &x);
    let is_nan = |bits: u32| f32::from_bits(bits).is_nan();
    let positions: Vec<u32> = expected
        .0
        .iter()
        .zip(&expected.1)
        .filter(|(v, _)| is_nan(**v))
        .map(|(_, &at)| at)
        .collect();
    assert_eq!(positions.len(), 5 * (4 + 4), "each spot of 3x3 touches four windows");
    assert!((1..4).all(|at| positions.contains(&at)), "{positions:?}");
    for (name, device) in devices() {
        for fusion in [Fusion::NONE, Fusion::ALL] {
            let got = conv_and_pool(&device, fusion, &x);
            for ix in 0..expected.0.len() {
                let [expected, got] = [&expected, &got].map(|(v, at)| (is_nan(v[ix]), at[ix]));
                assert_eq!(expected, got, "element {ix} on {name}, {fusion:?}");
            }
        }
    }
}

fn model(device: &Device, update: UpdateConfig) -> Model {
    let mut config = ModelConfig::new(&[2, 2, 3], 4);
    config.update = update;
    let network = |tape: &mut Tape, x| {
        let x = nn::batch_norm(tape, "norm", x);
        let x = nn::layers::flatten(tape, "flatten", x);
        nn::linear(tape, "fc", x, 2, true)
    };
    Model::new(device, &config, network).expect("a model")
}

/// Returns a batch of four inputs, `[4, 2, 2, 3]`.
fn batch(scale: f32) -> Vec<f32> {
    (0..48).map(|ix| scale * (ix as f32 * 0.7).sin()).collect()
}

const LABELS: [u32; 4] = [0, 1, 1, 0];

/// With inputs of 1e25 the variance overflows, and the normalised values are all 0. So the gradients stay finite, and
/// only a check of the variance detects the overflow.
#[test]
fn a_variance_that_overflows_does_not_reach_the_running_variance() {
    for (name, device) in devices() {
        let mut model = model(&device, UpdateConfig::default());
        model.train_step(&batch(1.0), &LABELS, 0.1).expect("a step");
        let before = model.state.weights().expect("weights");
        // This call may report the overflow already; on a GPU, only a later call reports it. `take_metrics` reports it
        // in both cases.
        let _ = model.train_step(&batch(1e25), &LABELS, 0.1);
        let result = model.state.take_metrics();
        assert!(
            matches!(result, Err(Error::Step(StepError::NotFinite { .. }))),
            "on {name}: {result:?}"
        );
        let after = model.state.weights().expect("weights");
        assert!(before.running_statistics == after.running_statistics, "on {name}");
        assert!(before.parameters == after.parameters, "on {name}");
    }
}

/// Gradients of 1e25 are finite, but their norm is not. Clipping multiplies the gradients by max_norm / norm, which
/// would set them to zero.
#[test]
fn a_norm_that_overflows_does_not_clip_gradients_to_zero() {
    for (name, device) in devices() {
        let update = UpdateConfig { clip_grad_norm: Some(1.0), ..UpdateConfig::default() };
        let mut config = ModelConfig::new(&[3], 2);
        config.update = update;
        let network = |tape: &mut Tape, x| nn::linear(tape, "fc", x, 2, true);
        let mut model = Model::new(&device, &config, network).expect("a model");
        let mut weights = model.state.weights().expect("weights");
        weights.parameters.fill(0.0);
        model.state.set_weights(&weights).expect("written");
        let _ = model.train_step(&[1e25, 0.0, 0.0, 0.0, 0.0, 0.0], &[0, 1], 0.1);
        let result = model.state.take_metrics();
        assert!(
            matches!(result, Err(Error::Step(StepError::NotFinite { .. }))),
            "on {name}: {result:?}"
        );
        let after = model.state.weights().expect("weights").parameters;
        assert!(weights.parameters == after, "on {name}");
    }
}

#[test]
fn skipped_steps_change_nothing_and_are_counted() {
    let update =
        UpdateConfig { on_nan: OnNonFinite::Skip, ema: Some(0.5), ..UpdateConfig::default() };
    for (name, device) in devices() {
        let mut model = model(&device, update.clone());
        let step = |model: &mut Model, scale: f32| {
            model.train_step(&batch(scale), &LABELS, 0.1).expect("no step fails");
            let averages = model.state.weights().expect("weights");
            (averages, model.state.member("fc.weight").expect("there"))
        };
        let first = step(&mut model, 1.0);
        for bad in [f32::NAN, 1e25, f32::INFINITY] {
            let skipped = step(&mut model, bad);
            assert!(first.0.parameters == skipped.0.parameters, "{bad} on {name}: averages");
            assert!(
                first.0.running_statistics == skipped.0.running_statistics,
                "{bad} on {name}: statistics"
            );
            assert!(first.1 == skipped.1, "{bad} on {name}: parameters");
        }
        let last = step(&mut model, 1.0);
        assert!(first.1 != last.1, "on {name}: the next step has an effect");
        assert!(first.0.parameters != last.0.parameters, "on {name}");
        let metrics = model.state.take_metrics().expect("no step failed");
        assert_eq!((metrics.n_skipped, metrics.n_images), (3.0, 8.0), "on {name}");
        assert!(metrics.loss().is_finite() && !metrics.not_finite, "on {name}");
        // An evaluation counts only its own images, and not the skipped training step before it.
        step(&mut model, f32::NAN);
        let tested = model.evaluate(&batch(1.0), &LABELS).expect("an evaluation");
        assert_eq!((tested.n_skipped, tested.n_images), (0.0, 4.0), "on {name}");
    }
}

/// A snapshot's metrics contain a copy of the flag, because a checkpoint can be written before the host has read the
/// flag.
#[test]
fn a_snapshot_of_a_stopped_run_stays_stopped() {
    let split = shapes::draw_train(0, 4);
    let config = StepConfig::new(ResNet9 { width: 4, classes: 10 }, 4);
    let device = Device::cpu(OpenOptions::default());
    let mut trainer = Trainer::new(&device, &config, 1).expect("a trainer");
    let step = |trainer: &mut Trainer| {
        trainer.step(&split, &[0, 1, 2, 3], 0, 0.01).expect("a step");
        trainer.state.session.read_state(StateBuffer::Parameters).expect("readable")
    };
    let before = step(&mut trainer);
    let good = trainer.state.snapshot().expect("a snapshot");
    let mut stopped = good.clone();
    let at = Snapshot::BUFFERS.iter().position(|&buffer| buffer == StateBuffer::Metrics);
    stopped.buffers[at.expect("they are in it")][metrics::FLAG] = STOPPED;
    trainer.state.restore(&stopped).expect("restored");
    assert!(step(&mut trainer) == before, "a step has changed the parameters");
    let stopped = trainer.state.snapshot().expect("a snapshot");
    assert!(matches!(trainer.state.take_metrics(), Err(Error::Step(StepError::NotFinite { .. }))));
    trainer.state.restore(&stopped).expect("restored");
    trainer.state.restore(&good).expect("restored");
    assert!(step(&mut trainer) != before, "the restore has cleared the flag");
    assert!(trainer.state.take_metrics().is_ok());
}
