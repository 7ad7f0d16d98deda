//! Properties of ops that the files from PyTorch do not test, on the CPU device: the order of flattened elements, and
//! the not-finite flag.

use std::sync::Arc;

use wgrad::device::cpu::CpuDevice;
use wgrad::device::{LoadOptions, Session};
use wgrad::kernel::StepScalars;
use wgrad::ops::cross_entropy::cross_entropy;
use wgrad::ops::finite_check::{NOT_FINITE, OnNonFinite, STOPPED, finite_check};
use wgrad::ops::flatten::flatten;
use wgrad::ops::metrics::{self, Metrics};
use wgrad::tape::{ElementType, Initializer, Layout, Mode, StateBuffer, Tape};

/// PyTorch's `flatten(1)` of an NCHW tensor orders the elements channel by channel, and each channel row by row.
#[test]
fn flatten_has_pytorchs_order() {
    let mut tape = Tape::new("test", Mode::Eval);
    let x = tape.input("x", ElementType::F32, &[1, 2, 2, 3]);
    let y = flatten(&mut tape, x);
    tape.keep(y);
    let mut session = CpuDevice::default().session::<f32>(tape.state());
    let program = session.load(&Arc::new(tape), LoadOptions::default()).expect("loads");
    // The tens digit is the pixel, the ones digit the channel.
    let nhwc = [10., 11., 12., 20., 21., 22., 30., 31., 32., 40., 41., 42.];
    session.write_real(program, x, &nhwc);
    session.run(program, &StepScalars::default()).expect("runs");
    let expected = [10., 20., 30., 40., 11., 21., 31., 41., 12., 22., 32., 42.];
    assert_eq!(session.read_real(program, y), expected);
}

/// Returns the not-finite flag and the number of skipped steps after each step. `gradients` has one gradient per step.
/// With `held`, the host sets the flag before the first step.
fn after(on_nan: OnNonFinite, gradients: &[f32], held: bool) -> Vec<(bool, f64)> {
    let mut tape = Tape::new("test", Mode::Train);
    tape.parameter("p", &[1], Layout::Plain, Initializer::Constant(0.0));
    finite_check(&mut tape, &[], on_nan);
    let logits = tape.input("logits", ElementType::F32, &[1, 2]);
    let labels = tape.input("labels", ElementType::U32, &[1]);
    let loss = cross_entropy(&mut tape, logits, labels, 0.0);
    metrics::accumulate(&mut tape, &loss, labels);
    let mut session = CpuDevice::default().session::<f32>(tape.state());
    let n_elements = tape.state().n_elements(StateBuffer::Gradients);
    let program = session.load(&Arc::new(tape), LoadOptions::default()).expect("a program");
    let mut control = session.read_state(StateBuffer::Control).expect("the flag");
    control[NOT_FINITE] = if held { STOPPED } else { 0.0 };
    session.write_state(StateBuffer::Control, &control).expect("written");
    let step = |&gradient: &f32| {
        let mut flat = vec![0.0; n_elements];
        flat[0] = gradient;
        session.write_state(StateBuffer::Gradients, &flat).expect("written");
        session.run(program, &StepScalars::default()).expect("a run");
        let metrics = session.read_state(StateBuffer::Metrics).expect("metrics");
        (Metrics::from_slice(&metrics).not_finite, Metrics::from_slice(&metrics).n_skipped)
    };
    gradients.iter().map(step).collect()
}

#[test]
fn the_flag_stays_set_or_holds_for_one_step() {
    let gradients = [1.0, f32::NAN, 1.0, f32::NEG_INFINITY];
    let stopped = [(false, 0.0), (true, 0.0), (true, 0.0), (true, 0.0)];
    assert_eq!(after(OnNonFinite::Stop, &gradients, false), stopped);
    let skipped = [(false, 0.0), (false, 1.0), (false, 1.0), (false, 2.0)];
    assert_eq!(after(OnNonFinite::Skip, &gradients, false), skipped);
}

#[test]
fn a_flag_that_the_host_sets_stays_set() {
    for on_nan in [OnNonFinite::Stop, OnNonFinite::Skip] {
        assert_eq!(after(on_nan, &[1.0, f32::NAN], true), [(true, 0.0); 2]);
    }
}
