//! Steps that compute values of the forward pass again: the same bits as without, in less memory.

mod common;

use std::sync::Arc;

use common::open_gpu;
use wgrad::data::batches::in_order;
use wgrad::data::shapes;
use wgrad::device::gpu::ShaderLibrary;
use wgrad::device::{Device, OpenOptions};
use wgrad::kernel::{Kernels, Target};
use wgrad::nn::NetworkConfig;
use wgrad::nn::networks::by_name;
use wgrad::passes::fuse::Fusion;
use wgrad::passes::plan::BufferKind;
use wgrad::passes::{Plan, PlanOptions};
use wgrad::tape::{Phase, StateBuffer, Storage, Tape};
use wgrad::train::Trainer;
use wgrad::train::step::{self, StepConfig};

const BATCH: usize = 8;
const N_STEPS: usize = 2;

/// Returns the settings of a step of a network with 10 classes, on images of 32x32 pixels.
fn config(name: &str, width: usize) -> StepConfig {
    let network = NetworkConfig::new(by_name(name).expect("a network"), width, 10);
    StepConfig::new(network, BATCH)
}

/// Returns the state after some steps: parameters, moments, running statistics. Also returns the bytes of the plan.
fn state(device: &Device, config: &StepConfig) -> (Vec<Vec<f32>>, u64) {
    let split = shapes::draw_train(0, N_STEPS * BATCH);
    let mut trainer = Trainer::new(device, config, 5).expect("a trainer");
    for images in in_order(N_STEPS * BATCH).chunks(BATCH) {
        trainer.step(&split, images, 0, 1e-3).expect("a step");
    }
    let buffers = [
        StateBuffer::Parameters,
        StateBuffer::Optimizer(0),
        StateBuffer::Optimizer(1),
        StateBuffer::RunningStatistics,
    ];
    let read = buffers.map(|buffer| trainer.state.session.read_state(buffer).expect("read"));
    (read.to_vec(), trainer.planned_bytes())
}

/// Compares the steps of a network with and without recomputation.
fn compare(device: &Device, name: &str, config: &StepConfig) {
    let (expected, before) = state(device, config);
    let mut config = config.clone();
    config.update.recompute = true;
    let (got, after) = state(device, &config);
    assert!(expected.iter().flatten().all(|x| x.is_finite()), "{name}");
    assert!(expected == got, "{name}: the state differs");
    assert!(after < before, "{name}: {after} bytes, and {before} without recomputation");
}

/// One network of each kind of block. `wrn` has dropout: the copies of its nodes draw the same masks.
const NETWORKS: [(&str, usize); 9] = [
    ("resnet9", 4),
    ("resnet20", 4),
    ("preact20", 4),
    ("wrn-16-4-dropout", 4),
    ("resnext29-8x64d", 8),
    ("res2next29-6cx24wx4s", 4),
    ("attention56-cifar", 4),
    ("pyramid110-a48", 4),
    ("resnet20-concat", 4),
];

#[test]
fn the_cpu_has_the_same_bits_in_less_memory() {
    let device = Device::cpu(OpenOptions::default());
    for (name, width) in NETWORKS {
        compare(&device, name, &config(name, width));
    }
}

#[test]
fn so_have_steps_without_fusion_and_steps_over_shards() {
    let device = Device::cpu(OpenOptions::default());
    let mut unfused = config("resnet20", 4);
    unfused.update.fusion = Fusion::NONE;
    compare(&device, "without fusion", &unfused);
    let mut shards = config("resnet20", 4);
    shards.update.n_shards = 2;
    compare(&device, "2 shards", &shards);
}

#[test]
fn a_gpu_has_the_same_bits_in_less_memory() {
    let device = open_gpu(Kernels::Default, ShaderLibrary::default());
    compare(&device, "resnet20", &config("resnet20", 4));
}

/// Returns the training step of a network for ImageNet at its published size.
fn training(name: &str, batch_size: usize, recompute: bool) -> Arc<Tape> {
    let network = by_name(name).expect("a network");
    let network = NetworkConfig::new(network, network.default_width(), network.default_classes());
    let mut config = StepConfig::new(network, batch_size);
    config.size = wgrad::data::ImageSize::from([224, 224, 3]);
    config.update.recompute = recompute;
    step::training(&config).tape
}

fn plan(tape: &Tape, target: Option<Target>) -> Plan {
    Plan::new(tape, PlanOptions { target, ..PlanOptions::default() })
}

/// Returns the bytes of the slots: activations, their gradients, and scratch memory.
fn slots(tape: &Tape, target: Option<Target>) -> u64 {
    plan(tape, target).bytes_where(|kind| matches!(kind, BufferKind::Slot(_)))
}

#[test]
fn resnet152_takes_less_than_a_third_of_the_memory() {
    let [kept, recomputed] = [false, true].map(|recompute| training("resnet152", 32, recompute));
    for target in [None, Some(Target::new(Kernels::Tuned))] {
        let [before, after] = [&kept, &recomputed].map(|tape| slots(tape, target));
        let ratio = after as f64 / before as f64;
        println!("{} of {} MiB: {ratio:.3}", after >> 20, before >> 20);
        assert!(ratio < 1.0 / 3.0, "{ratio}");
    }
    let flops = |tape: &Tape| {
        let nodes = tape.nodes().iter();
        nodes.map(|node| node.op.flops(&tape.io(node))).sum::<u64>() as f64
    };
    let ratio = flops(&recomputed) / flops(&kept);
    println!("{ratio:.3} times the arithmetic");
    assert!(ratio < 1.34, "{ratio}");
    let forward =
        |tape: &Tape| tape.nodes().iter().filter(|node| node.phase == Phase::Forward).count();
    assert_eq!(forward(&recomputed), forward(&kept), "copies belong to the backward pass");
}

/// A plan on paper: the state, the inputs, and at each node the values that a later node reads.
fn bytes_on_paper(tape: &Tape, scratch: impl Fn(usize) -> u64) -> u64 {
    let mut last = vec![0; tape.values().len()];
    for (ix, node) in tape.nodes().iter().enumerate() {
        node.inputs.iter().chain(&node.outputs).for_each(|id| last[id.index()] = ix);
    }
    let is_transient = |id: usize| tape.values()[id].storage == Storage::Transient;
    let (mut live, mut peak) = (0, 0);
    for (ix, node) in tape.nodes().iter().enumerate() {
        let made = node.outputs.iter().map(|id| id.index()).filter(|&id| is_transient(id));
        live += made.map(|id| tape.values()[id].bytes()).sum::<u64>();
        peak = peak.max(live + scratch(ix));
        let mut read: Vec<_> =
            node.inputs.iter().chain(&node.outputs).map(|id| id.index()).collect();
        read.sort_unstable();
        read.dedup();
        let over = read
            .into_iter()
            .filter(|&id| last[id] == ix && is_transient(id) && !tape.values()[id].keep);
        live -= over.map(|id| tape.values()[id].bytes()).sum::<u64>();
    }
    peak
}

/// The plan has slots of fixed sizes, so it takes more than the values alone.
#[test]
fn the_plan_of_resnet50_is_near_its_values() {
    let tape = training("resnet50", 32, false);
    for target in [None, Some(Target::new(Kernels::Tuned))] {
        let plan = plan(&tape, target);
        let scratch = |ix: usize| plan.launches[ix].scratch.iter().sum::<u64>();
        let fixed = plan.bytes_where(|kind| !matches!(kind, BufferKind::Slot(_)));
        let paper = fixed + bytes_on_paper(&tape, scratch);
        let ratio = plan.total_bytes() as f64 / paper as f64;
        println!("{} MiB, {} MiB on paper: {ratio:.3}", plan.total_bytes() >> 20, paper >> 20);
        assert!(ratio <= 1.1, "{ratio}");
    }
}
