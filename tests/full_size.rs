//! The default recipe, with width 64 and batch size 512, fits an adapter whose largest binding is 128 MiB.

mod common;

use common::open_gpu;
use wgrad::data::batches::epoch_order;
use wgrad::data::shapes;
use wgrad::device::gpu::ShaderLibrary;
use wgrad::device::{Device, OpenOptions};
use wgrad::kernel::{Kernels, Target, Tile};
use wgrad::nn::ResNet9;
use wgrad::passes::fuse::Fusion;
use wgrad::passes::{Plan, PlanOptions};
use wgrad::tape::StateBuffer;
use wgrad::train::Trainer;
use wgrad::train::step::{self, StepConfig};

const BATCH: usize = 512;
/// The largest binding, in bytes, that WebGPU guarantees; software adapters offer no more.
const MAX_BINDING: u64 = 128 << 20;

fn config() -> StepConfig {
    StepConfig::new(ResNet9 { width: 64, classes: 10 }, BATCH)
}

#[test]
fn no_binding_exceeds_128_mib() {
    for kernels in [Kernels::Naive, Kernels::Default] {
        let target = Some(Target::new(kernels));
        for step in [step::training(&config()), step::evaluation(&config())] {
            let plan = Plan::new(&step.tape, PlanOptions { target, ..PlanOptions::default() });
            // The first layer's output has exactly the largest size.
            assert_eq!(plan.largest_binding(), MAX_BINDING);
            assert!(plan.check(None, 0, MAX_BINDING).is_ok());
        }
    }
}

/// The planned memory of a run is that of its state, of its inputs, and of the memory slots that its steps share.
/// Transfers to and from the device take some megabytes more.
#[test]
fn a_run_takes_at_most_1_6_gb() {
    let software = Target { is_software: true, ..Target::new(Kernels::Default) };
    let tiles = Tile::ALL.iter().map(|&tile| Target {
        tile: Some(tile),
        min_subgroup_size: 8,
        ..Target::new(Kernels::Default)
    });
    let hardware = [Kernels::Naive, Kernels::Default].map(Target::new);
    for target in hardware.into_iter().chain([software]).chain(tiles) {
        let (mut slots, mut bytes) = (Vec::new(), 0);
        let config = config();
        for step in [step::training(&config), step::evaluation(&config), step::statistics(&config)]
        {
            let options =
                PlanOptions { target: Some(target), slots: &slots, ..PlanOptions::default() };
            let plan = Plan::new(&step.tape, options);
            bytes += if slots.is_empty() { plan.total_bytes() } else { plan.own_bytes() };
            slots = plan.slots();
        }
        println!("{bytes} bytes: {target:?}");
        assert!(bytes <= 1_600_000_000, "{bytes} bytes: {target:?}");
    }
}

#[test]
fn without_fusion_a_binding_exceeds_128_mib() {
    let mut unfused = config();
    unfused.update.fusion = Fusion::NONE;
    let target = Some(Target::new(Kernels::Default));
    let tape = step::training(&unfused).tape;
    let plan = Plan::new(&tape, PlanOptions { target, ..PlanOptions::default() });
    assert_eq!(plan.largest_binding(), 2 * MAX_BINDING);
}

/// Compares one step at full size on the adapter with the CPU. It takes minutes on a software adapter.
#[test]
#[ignore = "takes minutes on a software adapter; test.sh runs it last"]
fn a_step_at_full_size_agrees_with_the_cpu() {
    let split = shapes::draw_train(0, BATCH);
    let order = epoch_order(0, 0, BATCH);
    let gpu = open_gpu(Kernels::Default, ShaderLibrary::default());
    println!("on {}", gpu.name());
    let [expected, got] = [Device::cpu(OpenOptions::default()), gpu].map(|device| {
        let mut trainer = Trainer::new(&device, &config(), 0).expect("the step fits the adapter");
        trainer.step(&split, &order, 0, 1e-3).expect("the step runs");
        let gradients =
            trainer.state.session.read_state(StateBuffer::Gradients).expect("gradients");
        (trainer.state.take_metrics().expect("metrics").loss(), gradients)
    });
    let loss_error = (got.0 - expected.0).abs() / expected.0;
    let squares = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
    let pairs = expected.1.iter().zip(&got.1);
    let difference = squares(&mut pairs.map(|(&e, &g)| f64::from(g) - f64::from(e)));
    let gradient_error = difference / squares(&mut expected.1.iter().map(|&e| f64::from(e)));
    println!("loss off by {loss_error:.1e}, gradient by {gradient_error:.1e}");
    // The differences have two causes: rounding, and ReLUs or max pools that decide differently because of rounding.
    // network_gpu_vs_cpu.rs describes them.
    assert!(loss_error <= 2e-6, "the losses are {} and {}", expected.0, got.0);
    assert!(gradient_error <= 2e-2, "the gradient is off by {gradient_error:e}");
}
