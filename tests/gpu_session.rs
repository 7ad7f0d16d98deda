//! Sessions on a GPU: the state, programs that share it, steps in flight, and readbacks.
//!
//! These tests need an adapter, hardware or software, and fail without one.

use std::sync::Arc;
use std::thread;

use wgrad::device::{Device, LoadOptions, OpenOptions, ProgramId, Session};
use wgrad::kernel::StepScalars;
use wgrad::ops::adam::Adam;
use wgrad::ops::cross_entropy::{self, cross_entropy};
use wgrad::ops::optimizer::Optimizer;
use wgrad::ops::{linear, metrics, scale};
use wgrad::passes;
use wgrad::tape::{ElementType, Initializer, Layout, Mode, StateBuffer, Tape, ValueId};

const N: usize = 3;
const FEATURES: usize = 5;
const CLASSES: usize = 4;

/// A linear classifier's training step or evaluation.
struct Classifier {
    tape: Arc<Tape>,
    x: ValueId,
    labels: ValueId,
    logits: ValueId,
}

fn classifier(mode: Mode) -> Classifier {
    let mut tape = Tape::new("classifier", mode);
    let x = tape.input("x", ElementType::F32, &[N, FEATURES]);
    let labels = tape.input("labels", ElementType::U32, &[N]);
    let one = Initializer::Constant(1.0);
    let shape = [FEATURES, CLASSES];
    let weight = tape.parameter("weight", &shape, Layout::LinearWeight, one);
    let bias = tape.parameter("bias", &[CLASSES], Layout::Plain, one);
    let logits = linear::linear(&mut tape, x, weight, Some(bias));
    tape.keep(logits);
    let loss = cross_entropy(&mut tape, logits, labels, 0.0);
    if mode == Mode::Train {
        passes::backward(&mut tape, loss.loss);
        Adam::default().record(&mut tape);
    }
    tape.optimizer_state(Adam::default().state());
    metrics::accumulate(&mut tape, &loss, labels);
    Classifier { tape: Arc::new(tape), x, labels, logits }
}

fn devices() -> [Device; 2] {
    let gpu = Device::open("gpu", OpenOptions::default()).expect("these tests need a GPU adapter");
    [Device::cpu(OpenOptions::default()), gpu]
}

/// Returns a session with a program, and with parameters for which no gradient is zero. At a zero gradient, Adam would
/// take a full step in the direction of the rounding error.
fn session(device: &Device, tape: &Arc<Tape>) -> (Box<dyn Session>, ProgramId) {
    let mut session = device.session(tape.state()).expect("a session");
    let program = session.load(tape, LoadOptions::default()).expect("loads");
    let n = tape.state().n_elements(StateBuffer::Parameters);
    let parameters: Vec<f32> = (0..n).map(|ix| (ix * 29 % 31) as f32 / 31.0 - 0.4).collect();
    session.write_state(StateBuffer::Parameters, &parameters).expect("writes");
    (session, program)
}

/// Writes inputs that differ from step to step.
fn write(session: &mut dyn Session, program: ProgramId, net: &Classifier, step: usize) {
    let x: Vec<f32> =
        (0..N * FEATURES).map(|ix| ((ix * 7 + step * 5) % 11) as f32 / 4.0 - 1.0).collect();
    session.write(program, net.x, &x).expect("writes");
    let labels: Vec<u32> = (0..N).map(|ix| ((ix + step) % CLASSES) as u32).collect();
    session.write_words(program, net.labels, &labels).expect("writes");
}

/// Returns Adam's scalars for step number `step`, counted from 0.
fn scalars(step: usize) -> StepScalars {
    let optimizer = Adam::default().scalars(0.01, step as u64 + 1);
    StepScalars { optimizer, ..StepScalars::default() }
}

#[track_caller]
fn assert_close(expected: &[f32], got: &[f32]) {
    assert_eq!(expected.len(), got.len());
    for (ix, (e, g)) in expected.iter().zip(got).enumerate() {
        assert!((e - g).abs() <= 1e-4 * (1.0 + e.abs()), "element {ix} is {g}, expected {e}");
    }
}

#[test]
fn steps_in_flight_read_their_own_inputs_and_scalars() {
    let net = classifier(Mode::Train);
    let [cpu, gpu] = devices().map(|device| {
        let (mut session, program) = session(&device, &net.tape);
        for step in 0..12 {
            write(&mut *session, program, &net, step);
            session.run(program, &scalars(step)).expect("runs");
        }
        let logits = session.read(program, net.logits).expect("reads");
        StateBuffer::ALL
            .map(|buffer| session.read_state(buffer).expect("reads"))
            .into_iter()
            .chain([logits])
            .collect::<Vec<_>>()
    });
    cpu.iter().zip(&gpu).for_each(|(expected, got)| assert_close(expected, got));
}

#[test]
fn programs_share_the_state_and_keep_their_inputs() {
    let (train, eval) = (classifier(Mode::Train), classifier(Mode::Eval));
    let [cpu, gpu] = devices().map(|device| {
        let (mut session, training) = session(&device, &train.tape);
        let evaluation = session.load(&eval.tape, LoadOptions::default()).expect("loads");
        write(&mut *session, evaluation, &eval, 3);
        write(&mut *session, training, &train, 0);
        let mut logits = Vec::new();
        for step in 0..3 {
            session.run(training, &scalars(step)).expect("runs");
            session.run(evaluation, &scalars(step)).expect("runs");
            logits.extend(session.read(evaluation, eval.logits).expect("reads"));
        }
        logits
    });
    assert_close(&cpu, &gpu);
    assert_ne!(gpu[..N * CLASSES], gpu[N * CLASSES..2 * N * CLASSES]);
}

#[test]
fn a_step_does_not_depend_on_earlier_runs() {
    let net = classifier(Mode::Eval);
    let [_, gpu] = devices();
    let (mut session, program) = session(&gpu, &net.tape);
    let mut run = |step| {
        write(&mut *session, program, &net, step);
        session.run(program, &scalars(0)).expect("runs");
        session.read(program, net.logits).expect("reads")
    };
    let (first, other, again) = (run(0), run(1), run(0));
    assert_ne!(first, other);
    assert_eq!(first, again);
}

#[test]
fn programs_share_slots_and_compute_as_if_alone() {
    let nets = [Mode::Eval, Mode::Train].map(classifier);
    for device in devices() {
        // A learning rate of 0 leaves the parameters unchanged.
        let logits = |session: &mut dyn Session, program, net: &Classifier, step| {
            write(session, program, net, step);
            session.run(program, &StepScalars::default()).expect("runs");
            session.read(program, net.logits).expect("reads")
        };
        let alone = |step| {
            let (mut session, program) = session(&device, &nets[0].tape);
            logits(&mut *session, program, &nets[0], step)
        };
        let expected = [0, 1].map(alone);
        assert_ne!(expected[0], expected[1]);

        let (mut session, evaluation) = session(&device, &nets[0].tape);
        let training = session.load(&nets[1].tape, LoadOptions::default()).expect("it loads");
        let n_shared = session.plan(training).buffers.iter().filter(|b| b.is_shared).count();
        assert!(n_shared > 0, "on {}", device.name());
        let programs = [evaluation, training];
        for (which, step) in [(1, 0), (0, 1), (1, 1), (0, 0)] {
            let got = logits(&mut *session, programs[which], &nets[which], step);
            assert_eq!(got, expected[step], "on {}", device.name());
        }
    }
}

#[test]
fn metrics_arrive_late_and_in_order() {
    let net = classifier(Mode::Eval);
    for device in devices() {
        let (mut session, program) = session(&device, &net.tape);
        write(&mut *session, program, &net, 0);
        let mut late = Vec::new();
        assert_eq!(session.poll_state(&mut late).expect("polls"), None);
        let mut last = 0.0;
        for step in 0..10 {
            session.run(program, &scalars(step)).expect("runs");
            session.request_state(StateBuffer::Metrics).expect("the request is accepted");
            if session.poll_state(&mut late).expect("polls").is_some() {
                let metrics = metrics::Metrics::from_slice(&late);
                let n_images = metrics.n_images;
                assert!(n_images > last && n_images <= (N * (step + 1)) as f64);
                last = n_images;
            }
        }
        session.wait().expect("waits");
        let arrived = session.poll_state(&mut late).expect("polls");
        let metrics = arrived.map(|_| metrics::Metrics::from_slice(&late));
        let n_images = metrics.map_or(last, |metrics| metrics.n_images);
        assert_eq!(n_images, (10 * N) as f64, "on {}", device.name());
        assert_eq!(session.poll_state(&mut late).expect("polls"), None);
    }
}

#[test]
fn the_state_starts_at_zero_and_can_be_written_and_read() {
    let net = classifier(Mode::Eval);
    let [_, gpu] = devices();
    let mut session = gpu.session(net.tape.state()).expect("a session");
    for buffer in StateBuffer::ALL {
        let n = net.tape.state().n_elements(buffer);
        assert_eq!(session.read_state(buffer).expect("reads"), vec![0.0; n], "{}", buffer.name());
        let values: Vec<f32> = (0..n).map(|ix| ix as f32 + 0.5).collect();
        session.write_state(buffer, &values).expect("writes");
        assert_eq!(session.read_state(buffer).expect("reads"), values, "{}", buffer.name());
    }
}

#[test]
fn a_network_without_parameters_runs() {
    let mut tape = Tape::new("nothing to train", Mode::Train);
    let x = tape.input("x", ElementType::F32, &[7]);
    let y = scale::scale(&mut tape, x, 2.0);
    tape.keep(y);
    Adam::default().record(&mut tape);
    let [_, gpu] = devices();
    let (mut session, program) = session(&gpu, &Arc::new(tape));
    session.write(program, x, &[1.0; 7]).expect("writes");
    session.run(program, &scalars(0)).expect("runs");
    assert_eq!(session.read(program, y).expect("reads"), [2.0; 7]);
    assert_eq!(session.read(program, x).expect("reads"), [1.0; 7]);
    assert!(session.read_state(StateBuffer::Parameters).expect("reads").is_empty());
    session.write_state(StateBuffer::Parameters, &[]).expect("writes");
}

#[test]
fn words_can_be_written_and_read_back() {
    let net = classifier(Mode::Eval);
    let [_, gpu] = devices();
    let (mut session, program) = session(&gpu, &net.tape);
    let labels = [3, u32::MAX, 0x8000_0001];
    session.write_words(program, net.labels, &labels).expect("writes");
    assert_eq!(session.read_words(program, net.labels).expect("reads"), labels);
}

#[test]
fn a_session_can_move_to_another_thread() {
    let net = classifier(Mode::Eval);
    let [_, gpu] = devices();
    let (mut session, program) = session(&gpu, &net.tape);
    let there = thread::spawn(move || {
        write(&mut *session, program, &net, 0);
        session.run(program, &scalars(0)).expect("runs");
        session.read(program, net.logits).expect("reads").len()
    });
    assert_eq!(there.join().expect("no panic"), N * CLASSES);
}

/// The mean over weights whose sum is 0 is a division by 0; PyTorch's result is NaN.
#[test]
fn a_batch_whose_labels_have_no_weight_has_loss_0_and_gradient_0() {
    let mut tape = Tape::new("loss", Mode::Train);
    let logits = tape.input_with_grad("logits", &[N, CLASSES]);
    let labels = tape.input("labels", ElementType::U32, &[N]);
    let weights = tape.input("class_weights", ElementType::F32, &[CLASSES]);
    let loss = cross_entropy::weighted(&mut tape, logits, labels, Some(weights), 0.1).loss;
    let d_logits = passes::backward(&mut tape, loss).get(logits).expect("a gradient");
    tape.keep(loss);
    tape.keep(d_logits);
    let tape = Arc::new(tape);
    for device in devices() {
        let (mut session, program) = session(&device, &tape);
        session.write(program, logits, &[0.5; N * CLASSES]).expect("writes");
        session.write_words(program, labels, &[1, 1, 3]).expect("writes");
        session.write(program, weights, &[2.0, 0.0, 1.0, 0.0]).expect("writes");
        session.run(program, &scalars(0)).expect("runs");
        assert_eq!(session.read(program, loss).expect("reads"), [0.0], "{}", device.name());
        assert!(session.read(program, d_logits).expect("reads").iter().all(|&d| d == 0.0));
    }
}
