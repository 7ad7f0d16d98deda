//! Steps of full size on an adapter whose largest binding is 128 MiB: the default recipe, with width 64 and batch size
//! 512, and the largest network.

mod common;

use common::{open, open_gpu};
use wgrad::data::batches::epoch_order;
use wgrad::data::shapes;
use wgrad::device::gpu::ShaderLibrary;
use wgrad::device::{Device, OpenOptions};
use wgrad::kernel::{Kernels, Target, Tile};
use wgrad::nn::{NetworkConfig, ResNet9, networks};
use wgrad::passes::fuse::Fusion;
use wgrad::passes::{Plan, PlanError, PlanOptions};
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

/// Returns the settings of a step of the network with the most parameters, on images of 64 rows and columns.
fn large(batch_size: usize) -> StepConfig {
    let network = networks::by_name("wide_resnet101_2").expect("a name");
    let network = NetworkConfig::new(network, network.default_width(), network.default_classes());
    StepConfig { size: [64, 64, 3].into(), ..StepConfig::new(network, batch_size) }
}

/// All parameters together, in one flat buffer, are four times as large as the largest binding.
#[test]
#[ignore = "takes a minute on a software adapter; test.sh runs it last"]
fn a_step_of_127_million_parameters_runs_with_bindings_of_128_mib() {
    let config = large(2);
    let split = shapes::draw_train(0, 2).resized(config.size);
    let options = OpenOptions {
        kernels: Kernels::Default,
        max_segment: Some(MAX_BINDING),
        ..OpenOptions::default()
    };
    let device = open(options);
    let target = Some(Target { max_segment: Some(MAX_BINDING), ..Target::new(Kernels::Default) });
    let tape = step::training(&config).tape;
    let plan = Plan::new(&tape, PlanOptions { target, ..PlanOptions::default() });
    assert!(plan.largest_binding() <= MAX_BINDING);
    let mut trainer = Trainer::new(&device, &config, 0).expect("the step fits the adapter");
    let n_parameters: usize = tape.state().parameters.iter().map(|it| it.n_elements()).sum();
    assert_eq!(n_parameters, 126_886_696);
    let parameters = |trainer: &mut Trainer| {
        trainer.state.session.read_state(StateBuffer::Parameters).expect("parameters")
    };
    let before = parameters(&mut trainer);
    trainer.step(&split, &[0, 1], 0, 1e-3).expect("the step runs");
    let loss = trainer.state.take_metrics().expect("metrics").loss();
    println!("on {}: loss {loss}", device.name());
    assert!(loss.is_finite() && loss > 0.0);
    let after = parameters(&mut trainer);
    assert!(after.iter().all(|value| value.is_finite()));
    // Parameters at both ends of the flat buffer, and of the segments between them, have changed.
    for member in &tape.state().parameters {
        assert_ne!(before[member.range()], after[member.range()], "{} is unchanged", member.name);
    }
}

/// A step whose activations are too large is refused with the largest batch size that fits.
#[test]
fn the_batch_size_of_a_refusal_fits_and_the_next_one_does_not() {
    for kernels in [Kernels::Naive, Kernels::Default] {
        let target = Some(Target { max_segment: Some(MAX_BINDING), ..Target::new(kernels) });
        let check = |batch_size| {
            let tape = step::training(&large(batch_size)).tape;
            let options = PlanOptions { target, ..PlanOptions::default() };
            Plan::new(&tape, options).check(None, 0, MAX_BINDING)
        };
        let Err(PlanError::BindingTooLarge { fits: Some(fits), .. }) = check(1000) else {
            panic!("1,000 images are not refused with a batch size")
        };
        let fits = fits as usize;
        assert_eq!(check(fits), Ok(()));
        let next = check(fits + 1);
        assert!(
            matches!(next, Err(PlanError::BindingTooLarge { fits: Some(n), .. }) if n as usize == fits),
            "{next:?}"
        );
    }
}
