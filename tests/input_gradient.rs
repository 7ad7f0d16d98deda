//! The gradient of a logit with respect to the image: on the CPU in f64 it agrees with central differences, and the GPU
//! agrees with the CPU. In evaluation, batch norms normalise with running statistics.

mod common;

use std::sync::Arc;

use common::open_gpu;
use wgrad::device::cpu::CpuDevice;
use wgrad::device::gpu::ShaderLibrary;
use wgrad::device::{Device, LoadOptions, OpenOptions, ProgramId, Session};
use wgrad::kernel::{Kernels, StepScalars};
use wgrad::nn::{NetworkConfig, Weights, networks};
use wgrad::passes::{self, fuse::Fusion};
use wgrad::tape::{ElementType, Mode, StateBuffer, Tape, ValueId};

const N_IMAGES: usize = 3;
const SHAPE: [usize; 4] = [N_IMAGES, 16, 12, 3];
const N_CLASSES: usize = 5;
/// The index of the differentiated logit: class 2 of the second image.
const LOGIT: usize = N_CLASSES + 2;

/// The step of the central differences. It is so small that no ReLU and no max pool decides differently.
const STEP: f64 = 1e-7;
/// The bound on the difference between the gradient and its central difference, relative to the largest gradient. f64
/// rounds a logit near 1 to 1e-16, and a division by the step gives 1e-9.
const TOLERANCE: f64 = 1e-6;
/// The bound on the relative L2 error of the gradient in f32 on the GPU.
const GPU_TOLERANCE: f64 = 1e-4;

/// A tape with a network and the gradient of a logit with respect to the image.
struct Recorded {
    tape: Arc<Tape>,
    image: ValueId,
    logits: ValueId,
    d_logits: ValueId,
    d_image: ValueId,
}

fn record(name: &str, mode: Mode, fusion: Fusion) -> Recorded {
    let network = networks::by_name(name).expect("a network");
    let config = NetworkConfig::new(network, 4, N_CLASSES);
    let mut tape = Tape::new(name, mode);
    let image = tape.input_with_grad("image", &SHAPE);
    let logits = config.record(&mut tape, image);
    passes::fuse(&mut tape, fusion);
    let d_logits = tape.input("d_logits", ElementType::F32, &[N_IMAGES, N_CLASSES]);
    let gradients = passes::backward_from(&mut tape, &[(logits, d_logits)]);
    let d_image = gradients.get(image).expect("the image has a gradient");
    tape.keep(logits);
    tape.keep(d_image);
    passes::eliminate_dead(&mut tape);
    Recorded { tape: Arc::new(tape), image, logits, d_logits, d_image }
}

fn pixels() -> Vec<f32> {
    (0..SHAPE.iter().product()).map(|ix: usize| (1.7 * (ix as f32)).sin()).collect()
}

impl Recorded {
    /// Loads the program and writes the weights, the images, and the gradient of the logits.
    fn load(&self, session: &mut dyn Session) -> ProgramId {
        let program = session.load(&self.tape, LoadOptions::default()).expect("a program");
        let mut weights = Weights::initial(self.tape.state(), 1);
        // Batch norms begin with the weight 1 and the variance 1, which could hide a missing factor.
        for values in [&mut weights.parameters, &mut weights.running_statistics] {
            values.iter_mut().enumerate().for_each(|(ix, v)| *v *= 1.0 + 0.3 * (ix as f32).sin());
        }
        session.write_state(StateBuffer::Parameters, &weights.parameters).expect("written");
        let statistics = &weights.running_statistics;
        session.write_state(StateBuffer::RunningStatistics, statistics).expect("written");
        session.write(program, self.image, &pixels()).expect("written");
        let mut d_logits = [0.0; N_IMAGES * N_CLASSES];
        d_logits[LOGIT] = 1.0;
        session.write(program, self.d_logits, &d_logits).expect("written");
        program
    }

    fn gradient(&self, device: &Device) -> Vec<f32> {
        let mut session = device.session(self.tape.state()).expect("a session");
        let program = self.load(&mut *session);
        session.run(program, &StepScalars::default()).expect("a run");
        session.read(program, self.d_image).expect("a gradient")
    }
}

/// Calls `test` with each network, in training and in evaluation.
fn each(fusion: Fusion, test: impl Fn(&Recorded, &str)) {
    for name in ["resnet9", "resnet20"] {
        for mode in [Mode::Train, Mode::Eval] {
            test(&record(name, mode, fusion), &format!("{name}, {mode:?}, {fusion:?}"));
        }
    }
}

#[test]
fn the_gradient_agrees_with_central_differences() {
    let test = |recorded: &Recorded, name: &str| {
        let mut session = CpuDevice::default().session::<f64>(recorded.tape.state());
        let program = recorded.load(&mut session);
        let pixels: Vec<f64> = pixels().into_iter().map(f64::from).collect();
        let mut run = |pixels: &[f64]| {
            session.write_real(program, recorded.image, pixels);
            session.run(program, &StepScalars::default()).expect("a run");
            let gradient = session.read_real(program, recorded.d_image);
            (session.read_real(program, recorded.logits)[LOGIT], gradient)
        };
        let (_, gradient) = run(&pixels);
        let largest = gradient.iter().fold(0.0_f64, |a, g| a.max(g.abs()));
        assert!(largest > 1e-3, "{name}: the gradient is at most {largest}");
        for ix in (0..pixels.len()).step_by(83) {
            let mut at = |offset: f64| {
                let mut moved = pixels.clone();
                moved[ix] += offset;
                run(&moved).0
            };
            let numeric = (at(STEP) - at(-STEP)) / (2.0 * STEP);
            let error = (numeric - gradient[ix]).abs();
            assert!(
                error <= TOLERANCE * largest.max(1.0),
                "{name}: the gradient at {ix} is {}, differences give {numeric}",
                gradient[ix]
            );
        }
    };
    each(Fusion::NONE, test);
    each(Fusion::ALL, test);
}

#[test]
fn the_gpu_agrees_with_the_cpu() {
    let cpu = Device::cpu(OpenOptions::default());
    let gpu = open_gpu(Kernels::Default, ShaderLibrary::default());
    each(Fusion::ALL, |recorded, name| {
        let norm =
            |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
        let (expected, got) = (recorded.gradient(&cpu), recorded.gradient(&gpu));
        let difference = expected.iter().zip(&got).map(|(&e, &g)| f64::from(e) - f64::from(g));
        let error = norm(&mut { difference }) / norm(&mut expected.iter().map(|&e| f64::from(e)));
        println!("{name}: {error:e}");
        assert!(error <= GPU_TOLERANCE, "{name}: the gradient is off by {error:e}");
    });
}
