use std::sync::{Arc, Barrier};

use super::*;
use crate::device::gpu::session::GpuSession;
use crate::device::gpu::{GpuDevice, ShaderLibrary};
use crate::device::{LoadOptions, OpenOptions, ProgramId, Session};
use crate::kernel::{StepScalars, Target};
use crate::ops::Window;
use crate::ops::adam::Adam;
use crate::ops::batch_norm::batch_norm;
use crate::ops::conv2d::{Conv2d, conv2d};
use crate::ops::cross_entropy::cross_entropy;
use crate::ops::ema::ema;
use crate::ops::finite_check::{OnNonFinite, finite_check};
use crate::ops::flatten::flatten;
use crate::ops::linear::linear;
use crate::ops::max_pool2d::max_pool2d;
use crate::ops::metrics;
use crate::ops::optimizer::Optimizer;
use crate::ops::relu::relu;
use crate::ops::scale::scale;
use crate::passes::{self, fuse::Fusion};
use crate::tape::{ElementType, Initializer, Layout, Mode, StateBuffer, Tape, ValueId};

/// The factors of the test tape's `scale` nodes. A factor is a constant of the shader, so each different factor has
/// a pipeline of its own. The last factor repeats the first.
const FACTORS: [f32; 8] = [2.0, -1.0, 0.5, 3.0, 4.0, -0.25, 1.5, 2.0];
/// The test tape's pipelines: one for each of the 7 different factors, and one for the moving average.
const N_PIPELINES: usize = FACTORS.len();

struct Loaded {
    session: GpuSession,
    program: ProgramId,
    x: ValueId,
    y: ValueId,
}

impl Loaded {
    fn new(device: &GpuDevice) -> Self {
        let mut tape = Tape::new("test", Mode::Train);
        let x = tape.input("x", ElementType::F32, &[4]);
        let y = FACTORS.iter().fold(x, |y, &factor| scale(&mut tape, y, factor));
        tape.keep(y);
        tape.parameter("p", &[4], Layout::Plain, Initializer::Constant(0.0));
        ema(&mut tape, 0.5);
        let (session, program) = load(device, &Arc::new(tape));
        Self { session, program, x, y }
    }

    fn jobs(&self) -> impl Iterator<Item = Job<'_>> {
        self.session.programs[0].jobs()
    }

    /// Runs a step of the test tape and checks the results of the step.
    fn check(&mut self) {
        let (session, program) = (&mut self.session, self.program);
        session.write(program, self.x, &[1.0, 2.0, -3.0, 0.0]).expect("written");
        session.write_state(StateBuffer::Parameters, &[5.0; 64]).expect("written");
        let first = StepScalars { step: 1, ..StepScalars::default() };
        session.run(program, &first).expect("it runs");
        let factor: f32 = FACTORS.iter().product();
        let expected = [factor, 2.0 * factor, -3.0 * factor, 0.0];
        assert_eq!(session.read(program, self.y).expect("read"), expected);
        let averages = session.read_state(StateBuffer::AveragedParameters).expect("read");
        assert_eq!(averages[..4], [5.0; 4]);
    }
}

fn load(device: &GpuDevice, tape: &Arc<Tape>) -> (GpuSession, ProgramId) {
    let (context, pipelines) = (Arc::clone(&device.context), Arc::clone(&device.pipelines));
    let target = Target::default();
    let mut session = GpuSession::new(context, pipelines, target, None, None, tape.state());
    let program = session.load(tape, LoadOptions::default()).expect("it loads");
    (session, program)
}

fn open() -> (wgpu::Adapter, GpuDevice) {
    let adapters = adapter::adapters_now();
    let adapter = adapter::choose(&adapters, None, 0).expect("an adapter").clone();
    let device = block_on(GpuDevice::new(&adapter, &OpenOptions::default()));
    let device = device.expect("it opens");
    (adapter, device)
}

/// Divides the jobs between two devices. Both devices begin together, so neither device can finish before the other
/// starts.
fn share_out_in_step(
    precompiler: &Precompiler,
    context: &Context,
    pipelines: &Pipelines,
    jobs: &[Job<'_>],
) {
    let (n_calls, both, left) = (AtomicUsize::new(0), Barrier::new(2), Mutex::new(jobs.iter()));
    let next = || {
        if n_calls.fetch_add(1, Ordering::Relaxed) < 2 {
            both.wait();
        }
        left.lock().expect("no panic").next()
    };
    precompiler.share_out(context, pipelines, 2, next).expect("nothing fails here");
}

/// Records a training step of a small network, with fused and unfused nodes.
fn training_step() -> Tape {
    let mut tape = Tape::new("test", Mode::Train);
    let x = tape.input("x", ElementType::F32, &[2, 8, 8, 3]);
    let labels = tape.input("labels", ElementType::U32, &[2]);
    let mut parameter = |name: &str, shape: &[usize]| {
        tape.parameter(name, shape, Layout::Plain, Initializer::Constant(1.0))
    };
    let kernels =
        [[3, 8], [8, 8]].map(|[from, to]| parameter(&format!("conv of {from}"), &[3, 3, from, to]));
    let [gamma, beta] = ["gamma", "beta"].map(|name| parameter(name, &[8]));
    let head = parameter("head", &[128, 10]);
    let y = conv2d(&mut tape, x, kernels[0], None, Conv2d::square(3, 1, 1));
    let y = batch_norm(&mut tape, y, gamma, beta, 1e-5).y;
    let y = relu(&mut tape, y);
    let y = conv2d(&mut tape, y, kernels[1], None, Conv2d::square(3, 1, 1));
    let y = max_pool2d(&mut tape, y, Window::square(2, 2, 0));
    let y = relu(&mut tape, y);
    let y = flatten(&mut tape, y);
    let logits = linear(&mut tape, y, head, None);
    let loss = cross_entropy(&mut tape, logits, labels, 0.0);
    assert_eq!(passes::fuse(&mut tape, Fusion::ALL), 3);
    passes::backward(&mut tape, loss.loss);
    finite_check(&mut tape, &[], OnNonFinite::Stop);
    metrics::accumulate(&mut tape, &loss, labels);
    Adam::default().record(&mut tape);
    tape
}

#[test]
fn every_pipeline_of_a_network_can_be_dispatched_on_another_device() {
    let (adapter, device) = open();
    let (session, _) = load(&device, &Arc::new(training_step()));
    let elsewhere = Context::new(block_on(adapter::open(&adapter)).expect("it opens"));
    for job in session.programs[0].jobs() {
        let stand_in = job.stand_in(&elsewhere, &device.pipelines);
        let encode = |(pipeline, bound)| job.encode(&elsewhere, &pipeline, &bound).map(drop);
        stand_in.and_then(encode).unwrap_or_else(|error| panic!("{}: {error}", job.label));
    }
}

#[test]
fn a_panic_on_another_device_is_ignored() {
    let (adapter, device) = open();
    help(&adapter, &device.pipelines, || panic!("lost"));
}

#[test]
fn the_other_devices_stop_when_the_sessions_device_fails() {
    let (adapter, device) = open();
    let precompiler = Precompiler { adapter, seen: Mutex::default() };
    let loaded = Loaded::new(&device);
    let jobs: Vec<_> = loaded.jobs().collect();
    let left = Mutex::new(jobs.iter().cycle().take(10_000));
    let next = || left.lock().expect("no panic").next();
    device.simulate_loss();
    assert!(precompiler.share_out(&device.context, &device.pipelines, 2, next).is_err());
    assert!(next().is_some());
}

#[test]
fn a_pipeline_is_compiled_once() {
    let (adapter, device) = open();
    let precompiler = Precompiler { adapter, seen: Mutex::default() };
    let loaded = Loaded::new(&device);
    assert_eq!(loaded.jobs().count(), N_PIPELINES + 1);
    assert_eq!(precompiler.new_ones(loaded.jobs()).len(), N_PIPELINES);
    assert_eq!(precompiler.new_ones(Loaded::new(&device).jobs()).len(), 0);
}

/// In the first case, the other device can compile all pipelines. In the second case, the other device has a broken
/// shader and cannot compile the pipelines of `scale`.
#[test]
fn the_results_of_a_step_do_not_depend_on_the_other_devices() {
    let (adapter, device) = open();
    let library = ShaderLibrary::default().with_override("scale/forward", "no shader");
    let broken = Pipelines::new(library, true, None, None);
    for pipelines in [&device.pipelines, &broken] {
        let precompiler = Precompiler { adapter: adapter.clone(), seen: Mutex::default() };
        let mut loaded = Loaded::new(&device);
        let jobs = precompiler.new_ones(loaded.jobs());
        share_out_in_step(&precompiler, &device.context, pipelines, &jobs);
        drop(jobs);
        loaded.check();
    }
}
