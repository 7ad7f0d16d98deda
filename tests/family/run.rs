//! Runs the cases on a device.

use std::collections::BTreeMap;
use std::sync::Arc;

use wgrad::device::{Device, LoadOptions, Session};
use wgrad::kernel::StepScalars;
use wgrad::nn::NetworkConfig;
use wgrad::nn::networks::by_name;
use wgrad::ops::{cross_entropy, running_statistics};
use wgrad::passes::{self, fuse::Fusion};
use wgrad::tape::{ElementType, Mode, Phase, StateBuffer, StateLayout, Tape, ValueId};

use crate::compare::Failures;
use crate::formula;
use crate::order::Order;
use crate::reference::{BlockCase, Names, NetworkCase, Pass, ReducedCase, Sample};
use crate::slice::{Slice, slice};

/// The bound on the relative L2 error of logits, of a loss and of a block's output.
const TOLERANCE: f64 = 1e-5;
/// The bound on the relative error of a gradient.
const GRADIENT_TOLERANCE: f64 = 1e-4;
/// The bound for a network without residual paths, as a multiple of the error of PyTorch's own float32.
const FLOAT32: f64 = 3.0;
/// Number of classes of a network whose numbers are compared.
const CLASSES: usize = 10;

/// A tape of a network: images to logits and loss.
struct Recorded {
    tape: Tape,
    images: ValueId,
    labels: ValueId,
    logits: ValueId,
    loss: ValueId,
}

type Record<'a> = &'a dyn Fn(&mut Tape, ValueId) -> ValueId;

fn recorded(record: Record<'_>, mode: Mode, image: usize, batch: usize) -> Recorded {
    let mut tape = Tape::new("network", mode);
    let images = tape.input("images", ElementType::F32, &[batch, image, image, 3]);
    let labels = tape.input("labels", ElementType::U32, &[batch]);
    let logits = record(&mut tape, images);
    let loss = cross_entropy::cross_entropy(&mut tape, logits, labels, 0.0).loss;
    tape.keep(logits);
    tape.keep(loss);
    passes::fuse(&mut tape, Fusion::ALL);
    Recorded { tape, images, labels, logits, loss }
}

fn config(name: &str, classes: usize) -> NetworkConfig {
    let network = by_name(name).unwrap_or_else(|problem| panic!("{problem}"));
    NetworkConfig::new(network, network.default_width(), classes)
}

/// Compares the number of parameters, and the name and the shape of every entry of the state dict.
pub fn names(expected: &Names, image: usize) -> Option<String> {
    let tape = config(&expected.name, expected.classes).tape([image, image, 3]);
    let state = tape.state();
    let members = state.parameters.iter().chain(&state.running_statistics);
    let mut tensors: BTreeMap<String, Vec<usize>> =
        members.map(|member| (member.name.clone(), Order::of(member).1)).collect();
    // A file has the number of batches beside the running mean.
    let of_mean = |name: &String| {
        Some(format!("{}.num_batches_tracked", name.strip_suffix(".running_mean")?))
    };
    let counts: Vec<String> = tensors.keys().filter_map(of_mean).collect();
    tensors.extend(counts.into_iter().map(|name| (name, Vec::new())));
    let mut failures = Failures::default();
    failures.same("number of parameters", state.n_parameters(), expected.parameters);
    for (name, shape) in &expected.tensors {
        failures.same(name, tensors.remove(name).as_ref(), Some(shape));
    }
    for (name, shape) in &tensors {
        failures.same(name, Some(shape), None);
    }
    failures.finish(&expected.name)
}

/// A session with the weights of the formula, and its programs.
struct Run {
    session: Box<dyn Session>,
}

impl Run {
    fn new(device: &Device, layout: &StateLayout, branch_ends: &[String]) -> Self {
        let mut session = device.session(layout).expect("a session");
        let parameters = formula::parameters(layout, branch_ends);
        session.write_state(StateBuffer::Parameters, &parameters).expect("written");
        Self { session }
    }

    /// Runs a network on draw number `draw` of images and labels, and returns its logits and its loss.
    fn network(&mut self, of: Recorded, draw: &str) -> (Vec<f32>, f32) {
        let Recorded { tape, images, labels, logits, loss } = of;
        let (shape, order) = (Order::of_value(tape.shape(images)).1, Order::Activation);
        let pixels = formula::unit(&format!("x{draw}"), &shape, order);
        let targets = formula::labels(&format!("labels{draw}"), shape[0], CLASSES);
        let session = &mut self.session;
        let program = session.load(&Arc::new(tape), LoadOptions::default()).expect("a program");
        session.write(program, images, &pixels).expect("written");
        session.write_words(program, labels, &targets).expect("written");
        session.run(program, &StepScalars::default()).expect("a run");
        let logits = session.read(program, logits).expect("read");
        (logits, session.read(program, loss).expect("read")[0])
    }

    /// Compares the gradients of all parameters.
    fn gradients(
        &mut self,
        layout: &StateLayout,
        expected: &BTreeMap<String, Sample>,
        tolerance: f64,
        failures: &mut Failures,
    ) {
        let buffer = self.session.read_state(StateBuffer::Gradients).expect("read");
        let largest = largest(expected);
        for member in &layout.parameters {
            let (name, got) = (&member.name, &buffer[member.range()]);
            match expected.get(name) {
                Some(sample) => {
                    let place = Order::of(member);
                    failures.sample(name, place, got, sample, largest, tolerance);
                }
                None => failures.same(name, "a parameter", "none"),
            }
        }
        for name in expected.keys().filter(|name| *name != "x") {
            if !layout.parameters.iter().any(|member| member.name == *name) {
                failures.same(name, "none", "a parameter");
            }
        }
    }
}

fn largest(gradients: &BTreeMap<String, Sample>) -> f64 {
    gradients.values().map(|sample| sample.norm).fold(0.0, f64::max)
}

/// Runs a training pass, then an evaluation with the statistics of the training pass.
pub fn network(case: &NetworkCase, device: &Device) -> Option<String> {
    let config = config(&case.name, CLASSES);
    let record = |tape: &mut Tape, x| config.record(tape, x);
    let mut train = recorded(&record, Mode::Train, case.train.image, case.train.batch);
    // With momentum 1, the running statistics become those of the batch.
    train.tape.in_phase(Phase::Update, |tape| running_statistics::update(tape, 1.0));
    let eval = recorded(&record, Mode::Eval, case.eval.image, case.eval.batch);
    let mut run = Run::new(device, &train.tape.state().clone(), &case.branch_ends);
    let mut failures = Failures::default();
    for (mode, of, pass) in [("training", train, &case.train), ("evaluation", eval, &case.eval)] {
        let got = run.network(of, "");
        compare_pass(mode, pass, case.plain, got, &mut failures);
    }
    failures.finish(&case.name)
}

/// Returns the bound for a network whose error in PyTorch's float32 is `float32`.
fn tolerance(bound: f64, is_plain: bool, float32: f64) -> f64 {
    if is_plain { bound.max(FLOAT32 * float32) } else { bound }
}

fn compare_pass(
    mode: &str,
    pass: &Pass,
    is_plain: bool,
    (logits, loss): (Vec<f32>, f32),
    failures: &mut Failures,
) {
    let shape = [pass.batch, CLASSES];
    let [of_logits, of_loss] = pass.float32.map(|float32| tolerance(TOLERANCE, is_plain, float32));
    failures.whole(&format!("{mode}: logits"), &shape, &logits, &pass.logits, of_logits);
    failures.whole(&format!("{mode}: loss"), &[1], &[loss], &[pass.loss], of_loss);
}

/// Compares the loss and the gradients of a reduced network.
pub fn reduced(case: &ReducedCase, device: &Device, record: Record<'_>) -> Option<String> {
    let mut recorded = recorded(record, Mode::Train, case.image, case.batch);
    passes::backward(&mut recorded.tape, recorded.loss);
    passes::eliminate_dead(&mut recorded.tape);
    let layout = recorded.tape.state().clone();
    let mut run = Run::new(device, &layout, &case.branch_ends);
    let (_, loss) = run.network(recorded, &case.redraw.to_string());
    let mut failures = Failures::default();
    failures.whole("loss", &[1], &[loss], &[case.loss], TOLERANCE);
    let tolerance = tolerance(GRADIENT_TOLERANCE, case.plain, case.float32);
    run.gradients(&layout, &case.gradients, tolerance, &mut failures);
    failures.finish(&case.name)
}

/// Compares the output and the gradients of a block.
pub fn block(case: &BlockCase, device: &Device) -> Option<String> {
    let BlockCase { network, part, redraw, .. } = case;
    let config = config(network, case.classes);
    let mut whole = Tape::new(network, Mode::Train);
    let shape = [case.input[0], case.image, case.image, 3];
    let images = whole.input("images", ElementType::F32, &shape);
    let logits = config.record(&mut whole, images);
    whole.keep(logits);

    let Slice { mut tape, x, y } = slice(&whole, part);
    let mut failures = Failures::default();
    let name = format!("{network} {part}");
    for (what, id, expected) in [("input", x, &case.input), ("output", y, &case.output)] {
        failures.same(what, &Order::of_value(tape.shape(id)).1, expected);
    }
    if failures.any() {
        return failures.finish(&name);
    }
    tape.keep(y);
    passes::fuse(&mut tape, Fusion::ALL);
    let (y_order, y_shape) = Order::of_value(tape.shape(y));
    let d_y = tape.input("dy", ElementType::F32, &y_order.our_shape(&y_shape));
    let d_x = passes::backward_from(&mut tape, &[(y, d_y)]).get(x).expect("a gradient of x");
    tape.keep(d_x);
    let layout = tape.state().clone();
    let mut run = Run::new(device, &layout, &[]);
    let program = run.session.load(&Arc::new(tape), LoadOptions::default()).expect("a program");
    let x_order = Order::of_value(&case.input).0;
    let input = formula::unit(&format!("x{redraw}"), &case.input, x_order);
    let upstream = formula::unit(&format!("dy{redraw}"), &y_shape, y_order);
    run.session.write(program, x, &input).expect("written");
    run.session.write(program, d_y, &upstream).expect("written");
    run.session.run(program, &StepScalars::default()).expect("a run");

    let got = run.session.read(program, y).expect("read");
    failures.sample("output", (y_order, y_shape), &got, &case.y, 0.0, TOLERANCE);
    let (got, expected) = (run.session.read(program, d_x).expect("read"), &case.gradients["x"]);
    let largest = largest(&case.gradients);
    let place = (x_order, case.input.clone());
    failures.sample("gradient of the input", place, &got, expected, largest, GRADIENT_TOLERANCE);
    run.gradients(&layout, &case.gradients, GRADIENT_TOLERANCE, &mut failures);
    failures.finish(&name)
}
