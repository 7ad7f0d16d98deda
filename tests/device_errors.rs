//! Failures of a GPU are typed errors: no call panics or hangs.
//!
//! These tests need an adapter, software or not, and fail without one.

use std::sync::Arc;

use wgrad::device::gpu::{GpuDevice, ShaderLibrary, info};
use wgrad::device::{Device, DeviceError, LoadOptions, OpenOptions, ProgramId, Session};
use wgrad::kernel::{StepScalars, Target};
use wgrad::measure::check::{Failure, self_test};
use wgrad::ops::clip_grad_norm::norm;
use wgrad::ops::{self, relu, scale};
use wgrad::passes::{Plan, PlanError, PlanOptions};
use wgrad::tape::{ElementType, Initializer, Layout, Mode, StateBuffer, Tape, ValueId};

const STEP: StepScalars = StepScalars {
    seed: [0, 0],
    epoch: 0,
    step: 0,
    optimizer: [0.0; 4],
    added_levels: 0,
    stored_level: 0,
    padding: [0; 2],
};

fn open(options: &OpenOptions) -> GpuDevice {
    GpuDevice::open(None, options).expect("these tests need a GPU adapter, software or not")
}

/// Records `y = relu(x)` over `n` elements, followed by a chain of `links` scalings. All values are kept for reading
/// after the run.
fn relu_tape(n: usize, links: usize) -> (Arc<Tape>, ValueId, ValueId) {
    let mut tape = Tape::new("test", Mode::Train);
    let x = tape.input("x", ElementType::F32, &[n]);
    let mut y = tape.scoped("layer", |tape| relu::relu(tape, x));
    for _ in 0..links {
        tape.keep(y);
        y = scale::scale(&mut tape, y, 2.0);
    }
    tape.keep(y);
    (Arc::new(tape), x, y)
}

struct Loaded {
    device: GpuDevice,
    session: Box<dyn Session>,
    program: ProgramId,
    y: ValueId,
}

fn load(n: usize) -> Loaded {
    let device = open(&OpenOptions::default());
    let (tape, x, y) = relu_tape(n, 0);
    let mut session = device.session(tape.state()).expect("a session");
    let program = session.load(&tape, LoadOptions::default()).expect("loads");
    session.write(program, x, &vec![1.0; n]).expect("writes");
    Loaded { device, session, program, y }
}

fn load_error(options: &OpenOptions, tape: &Arc<Tape>) -> DeviceError {
    let mut session = open(options).session(tape.state()).expect("a session");
    session.load(tape, LoadOptions::default()).expect_err("this must not load")
}

#[track_caller]
fn assert_lost<T>(result: Result<T, DeviceError>) {
    match result {
        Err(error @ DeviceError::Lost { .. }) => {
            assert_eq!(error.to_string(), "the GPU device was lost: it was destroyed");
        }
        Err(other) => panic!("another error: {other}"),
        Ok(_) => panic!("no error"),
    }
}

#[test]
fn a_lost_device_is_an_error_of_every_call() {
    let Loaded { device, mut session, program, y } = load(1000);
    session.run(program, &STEP).expect("runs");
    session.wait().expect("waits");
    device.simulate_loss();
    assert_lost(session.run(program, &STEP));
    assert_lost(session.read(program, y));
    assert_lost(session.write(program, y, &[0.0; 1000]));
    assert_lost(session.read_state(StateBuffer::Metrics));
    assert_lost(session.write_state(StateBuffer::Metrics, &[0.0; 64]));
    assert_lost(session.request_state(StateBuffer::Metrics));
    assert_lost(session.poll_state(&mut Vec::new()));
    assert_lost(session.wait());
    let (tape, ..) = relu_tape(10, 0);
    assert_lost(session.load(&tape, LoadOptions::default()));
    assert_lost(device.session(tape.state()));
}

#[test]
fn a_device_that_is_lost_with_work_in_flight_does_not_hang() {
    for first_call in 0..4 {
        let Loaded { device, mut session, program, y } = load(1 << 20);
        session.request_state(StateBuffer::Metrics).expect("the request is accepted");
        for _ in 0..3 {
            session.run(program, &STEP).expect("runs");
        }
        session.request_state(StateBuffer::Metrics).expect("the request is accepted");
        device.simulate_loss();
        match first_call {
            // wgpu reports the loss once the device is idle. `run` waits for this moment, because only a few steps may
            // be in flight.
            0 => assert_lost((0..4).try_for_each(|_| session.run(program, &STEP))),
            1 => assert_lost(session.read(program, y)),
            2 => assert_lost(session.wait()),
            _ => {
                // Reads of state buffers that were requested before the loss may still arrive. After them, `poll_state`
                // reports the loss of the device.
                while session.poll_state(&mut Vec::new()).is_ok() {
                    std::thread::yield_now();
                }
                assert_lost(session.poll_state(&mut Vec::new()));
            }
        }
    }
}

#[test]
fn a_plan_above_the_memory_limit_is_rejected_before_any_allocation() {
    // The plan is far larger than the memory of any adapter. A check after the allocation would fail with another
    // error.
    let (tape, ..) = relu_tape(1 << 40, 3);
    let options = OpenOptions { memory_limit: Some(1 << 20), ..OpenOptions::default() };
    let error = load_error(&options, &tape);
    let DeviceError::Plan(PlanError::MemoryLimit { limit, planned }) = error else {
        panic!("{error}")
    };
    assert!(limit == 1 << 20 && planned > 1 << 42);
}

#[test]
fn a_tensor_above_the_binding_limit_is_rejected() {
    let limit = info::adapters().first().expect("an adapter").limits.max_binding_bytes;
    let (tape, ..) = relu_tape(limit as usize / 4 + 1, 0);
    let error = load_error(&OpenOptions::default(), &tape);
    let DeviceError::Plan(PlanError::BindingTooLarge { bytes, fits, .. }) = error else {
        panic!("{error}")
    };
    assert!(bytes > limit);
    // The tensor has one axis. With an element less, it fits.
    assert_eq!(fits, Some(limit / 4));
}

/// A parameter that is larger than the largest binding is refused. The error is not the one for a too large activation,
/// whose size depends on the batch size.
#[test]
fn a_parameter_above_the_binding_limit_is_rejected() {
    let limit = info::adapters().first().expect("an adapter").limits.max_binding_bytes;
    let mut tape = Tape::new("test", Mode::Train);
    let zero = Initializer::Constant(0.0);
    tape.parameter("p", &[limit as usize / 4 + 1], Layout::Plain, zero);
    norm(&mut tape);
    let error = load_error(&OpenOptions::default(), &Arc::new(tape));
    assert!(matches!(error, DeviceError::Plan(PlanError::ParameterTooLarge { .. })), "{error}");
}

/// Kernels bind a flat buffer, such as all parameters, in parts. So a network is accepted if only its parameters
/// together exceed the largest binding.
#[test]
fn parameters_that_together_exceed_the_binding_limit_are_accepted() {
    let mut tape = Tape::new("test", Mode::Train);
    for name in ["p", "q", "r"] {
        tape.parameter(name, &[1 << 20], Layout::Plain, Initializer::Constant(0.0));
    }
    norm(&mut tape);
    let target = Some(Target { max_segment: Some(1 << 23), ..Target::default() });
    let plan = Plan::new(&tape, PlanOptions { target, ..PlanOptions::default() });
    assert_eq!(plan.largest_binding(), 1 << 22);
    plan.check(None, 0, 1 << 23).expect("two of three members fit a binding");
    // One dispatch for each of the two segments of the gradients, and one that adds their partial sums.
    assert_eq!(plan.launches[0].dispatches.len(), 3);
}

fn with_relu(text: &str) -> OpenOptions {
    let shaders = ShaderLibrary::default().with_override("relu/forward", text);
    OpenOptions { shaders, ..OpenOptions::default() }
}

#[test]
fn text_that_is_not_wgsl_is_an_error_with_the_pipelines_name() {
    let (tape, ..) = relu_tape(10, 0);
    let error = load_error(&with_relu("fn main( {"), &tape);
    assert!(
        matches!(&error, DeviceError::Pipeline { label, .. } if label == "test.layer.relu.forward")
    );
}

#[test]
fn a_shader_with_other_bindings_is_rejected() {
    let (tape, ..) = relu_tape(10, 0);
    let text = "@group(0) @binding(0) var<storage, read_write> y: array<f32>;\n\
                @compute @workgroup_size(64) fn main() { y[0] = 1.0; }";
    let error = load_error(&with_relu(text), &tape);
    assert!(
        matches!(&error, DeviceError::Pipeline { label, .. } if label == "test.layer.relu.forward")
    );
}

#[test]
fn a_shader_that_writes_a_buffer_bound_as_input_is_rejected_at_load() {
    // `add(x, x)` binds the buffer of x twice. The replaced shader writes through one of these bindings.
    let mut tape = Tape::new("test", Mode::Train);
    let x = tape.input("x", ElementType::F32, &[64]);
    wgrad::ops::add::add(&mut tape, x, x);
    let text = "@group(0) @binding(0) var<storage, read> a: array<f32>;\n\
                @group(0) @binding(1) var<storage, read_write> b: array<f32>;\n\
                @group(0) @binding(2) var<storage, read_write> y: array<f32>;\n\
                @compute @workgroup_size(64) fn main() { b[0] = a[0]; y[0] = a[0]; }";
    let shaders = ShaderLibrary::default().with_override("add/forward", text);
    let error = load_error(&OpenOptions { shaders, ..OpenOptions::default() }, &Arc::new(tape));
    assert!(
        matches!(&error, DeviceError::Pipeline { label, .. } if label == "test step"),
        "{error}"
    );
}

#[test]
fn a_missing_import_is_an_error_with_its_name() {
    let (tape, ..) = relu_tape(10, 0);
    let error = load_error(&with_relu("// #import shared/gone"), &tape);
    let message =
        "shader relu/forward: imports shared/gone, but shaders/shared/gone.wgsl does not exist";
    assert_eq!(error.to_string(), message);
}

#[test]
fn a_replaced_shader_runs_with_checks() {
    let text = "@group(0) @binding(0) var<storage, read> x: array<f32>;\n\
                @group(0) @binding(1) var<storage, read_write> y: array<f32>;\n\
                @compute @workgroup_size(1) fn main() {\n\
                    let far = 500000000u + u32(x[0]);\n\
                    y[far] = x[far];\n\
                }";
    let device = open(&with_relu(text));
    let (tape, x, y) = relu_tape(64, 0);
    let mut session = device.session(tape.state()).expect("a session");
    let program = session.load(&tape, LoadOptions::default()).expect("loads");
    session.write(program, x, &[1.0; 64]).expect("writes");
    session.run(program, &STEP).expect("runs");
    assert_eq!(session.read(program, y).expect("reads").len(), 64);
}

#[test]
fn the_self_test_finds_a_wrong_kernel() {
    let text = ShaderLibrary::default().file("relu/backward").expect("it is there");
    let wrong = text.replace("y[ix] > 0.0", "y[ix] > 0.1");
    assert_ne!(text, wrong);
    let shaders = ShaderLibrary::default().with_override("relu/backward", wrong);
    let device = open(&OpenOptions { shaders, ..OpenOptions::default() });
    let relu = ops::ALL.iter().find(|op| op.stem == "relu").expect("an op");
    let Err(Failure::Mismatch(mismatch)) = self_test(relu, &Device::Gpu(device), 0) else {
        panic!("the self-test passes")
    };
    assert!(mismatch.to_string().contains("relu.d_x"), "{mismatch}");
}

#[test]
fn an_unknown_adapter_is_an_error_with_the_names_of_all() {
    let error = Device::open("no such adapter", OpenOptions::default()).err().expect("an error");
    let DeviceError::AdapterNotFound { wanted, found } = &error else { panic!("{error}") };
    assert_eq!(wanted, "no such adapter");
    let names: Vec<String> = info::adapters().into_iter().map(|a| a.name).collect();
    assert_eq!(*found, names);
    // A part of an adapter's name selects the adapter. Upper and lower case do not matter.
    let part = names[0][1..].to_uppercase();
    let device = Device::open(&part, OpenOptions::default()).expect("opens");
    assert!(device.name().starts_with(&names[0]));
}
