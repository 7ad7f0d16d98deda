//! Compares the whole training step on the GPU with the CPU device.
//!
//! Training amplifies rounding, so each step starts from the CPU's state. Even so, a ReLU or a max pool may decide
//! differently because of rounding. The gradient then differs by whole terms, and the bound on the worst step allows
//! for this.

mod common;

use common::open_gpu;
use wgrad::data::batches::{epoch_order, whole_batches};
use wgrad::data::shapes;
use wgrad::device::gpu::ShaderLibrary;
use wgrad::device::{Device, OpenOptions};
use wgrad::kernel::Kernels;
use wgrad::nn::ResNet9;
use wgrad::tape::StateBuffer;
use wgrad::train::Trainer;
use wgrad::train::step::StepConfig;

const WIDTH: usize = 8;
const BATCH: usize = 64;
const STEPS: usize = 20;
/// The first learning rate of the schedule: a tenth of the peak.
const RATE: f64 = 1e-3;

/// The bound on the relative error of a loss. A loss is a mean of 64 numbers with the rounding of a dozen layers, so
/// its error is a few times f32's 6e-8.
const LOSS_TOLERANCE: f64 = 2e-6;
/// Bounds on the relative L2 error of the gradient. In the median step, no ReLU or max pool decides differently; in the
/// worst step, some do.
const MEDIAN_GRADIENT_TOLERANCE: f64 = 1e-3;
const WORST_GRADIENT_TOLERANCE: f64 = 2e-2;
/// The bound on the relative error of the loss in three steps of Adam, without the CPU's state between them. The later
/// steps amplify a ReLU or a max pool that decides differently in the first step. Of the seeds 0 to 6 at this learning
/// rate, seed 3 had the largest error, 8.6e-4; at twice the learning rate its error exceeded the bound. With the seed 4
/// below, no ReLU or max pool decides differently in the first step.
const FREE_LOSS_TOLERANCE: f64 = 1e-3;

fn trainer(device: &Device) -> Trainer {
    let config = StepConfig::new(ResNet9 { width: WIDTH, classes: 10 }, BATCH);
    Trainer::new(device, &config, 4).expect("a small network fits")
}

fn devices() -> [Device; 2] {
    let gpu = open_gpu(Kernels::Default, ShaderLibrary::default());
    [Device::cpu(OpenOptions::default()), gpu]
}

fn relative(expected: f64, got: f64) -> f64 {
    (got - expected).abs() / expected.abs()
}

/// Returns the norm of the difference divided by the norm of `expected`.
fn relative_error(expected: &[f32], got: &[f32]) -> f64 {
    let difference = expected.iter().zip(got).map(|(&e, &g)| (f64::from(g) - f64::from(e)).powi(2));
    let norm = expected.iter().map(|&e| f64::from(e).powi(2));
    (difference.sum::<f64>() / norm.sum::<f64>()).sqrt()
}

#[test]
fn each_step_from_the_cpus_state_agrees() {
    let [cpu, gpu] = devices();
    let (mut cpu, mut gpu) = (trainer(&cpu), trainer(&gpu));
    let split = shapes::draw_train(0, BATCH * STEPS);
    let order = epoch_order(0, 0, split.len());
    let (mut losses, mut gradients) = (Vec::new(), Vec::new());
    for images in whole_batches(&order, BATCH) {
        let carried = [
            StateBuffer::Parameters,
            StateBuffer::Optimizer(0),
            StateBuffer::Optimizer(1),
            StateBuffer::RunningStatistics,
        ];
        for buffer in carried {
            let state = cpu.state.session.read_state(buffer).expect("the CPU reads");
            gpu.state.session.write_state(buffer, &state).expect("the GPU writes");
        }
        let step = |trainer: &mut Trainer| {
            trainer.step(&split, images, 0, RATE).expect("a step");
            let gradients =
                trainer.state.session.read_state(StateBuffer::Gradients).expect("gradients");
            (trainer.state.take_metrics().expect("metrics").loss(), gradients)
        };
        let ((cpu_loss, cpu_gradients), (gpu_loss, gpu_gradients)) =
            (step(&mut cpu), step(&mut gpu));
        losses.push(relative(cpu_loss, gpu_loss));
        gradients.push(relative_error(&cpu_gradients, &gpu_gradients));
    }
    assert_eq!(losses.len(), STEPS);
    println!("losses off by {losses:?}\ngradients off by {gradients:?}");
    gradients.sort_by(f64::total_cmp);
    let worst_loss = losses.into_iter().fold(0.0, f64::max);
    let (median, worst) = (gradients[STEPS / 2], gradients[STEPS - 1]);
    assert!(worst_loss <= LOSS_TOLERANCE, "a loss is off by {worst_loss:e}");
    assert!(median <= MEDIAN_GRADIENT_TOLERANCE, "the median gradient is off by {median:e}");
    assert!(worst <= WORST_GRADIENT_TOLERANCE, "a gradient is off by {worst:e}");
}

#[test]
fn without_the_cpus_state_the_first_losses_agree() {
    let losses = devices().map(|device| {
        let mut trainer = trainer(&device);
        let split = shapes::draw_train(0, 3 * BATCH);
        let order = epoch_order(0, 0, split.len());
        let step = |images| {
            trainer.step(&split, images, 0, RATE).expect("a step");
            trainer.state.take_metrics().expect("metrics").loss()
        };
        whole_batches(&order, BATCH).map(step).collect::<Vec<f64>>()
    });
    println!("{losses:?}");
    for (expected, got) in losses[0].iter().zip(&losses[1]) {
        assert!(relative(*expected, *got) <= FREE_LOSS_TOLERANCE, "{losses:?}");
    }
}
