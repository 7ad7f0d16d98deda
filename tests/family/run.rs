//! Runs the cases on a device.

use std::collections::BTreeMap;
use std::sync::Arc;

use wgrad::device::{Device, LoadOptions, Session};
use wgrad::kernel::StepScalars;
use wgrad::nn::networks::{Heads, NetworkConfig, NetworkRef, Sizes, by_name};
use wgrad::ops::cross_entropy::cross_entropy;
use wgrad::ops::{add, running_statistics, scale};
use wgrad::passes::{self, fuse::Fusion};
use wgrad::tape::{ElementType, Mode, Phase, StateBuffer, StateLayout, Tape, ValueId};

use crate::compare::Failures;
use crate::formula;
use crate::order::Order;
use crate::reduced::{reduced, without_dropout};
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
    /// The logits of the network, then those of its auxiliary heads.
    logits: Vec<ValueId>,
    loss: ValueId,
}

impl Recorded {
    /// Records a network. In training, the auxiliary heads and their losses belong to it if `auxiliary` is true.
    fn new(network: NetworkRef, mode: Mode, sizes: Sizes, image: usize, batch: usize) -> Self {
        let mut tape = Tape::new(network.name(), mode);
        let images = tape.input("images", ElementType::F32, &[batch, image, image, 3]);
        let labels = tape.input("labels", ElementType::U32, &[batch]);
        let Heads { logits, auxiliary } = network.record(&mut tape, images, sizes);
        let main = cross_entropy(&mut tape, logits, labels, 0.0).loss;
        let loss = auxiliary.iter().fold(main, |total, &(logits, factor)| {
            let loss = cross_entropy(&mut tape, logits, labels, 0.0).loss;
            let loss = scale::scale(&mut tape, loss, factor);
            add::add(&mut tape, total, loss)
        });
        let logits: Vec<ValueId> =
            [logits].into_iter().chain(auxiliary.iter().map(|(logits, _)| *logits)).collect();
        logits.iter().chain([&loss]).for_each(|&id| tape.keep(id));
        passes::fuse(&mut tape, Fusion::ALL);
        Self { tape, images, labels, logits, loss }
    }
}

/// A session with the weights of the formula.
struct Run {
    session: Box<dyn Session>,
    layout: StateLayout,
}

impl Run {
    fn new(device: &Device, layout: &StateLayout, branch_ends: &[String]) -> Self {
        let mut session = device.session(layout).expect("a session");
        let parameters = formula::parameters(layout, branch_ends);
        session.write_state(StateBuffer::Parameters, &parameters).expect("written");
        Self { session, layout: layout.clone() }
    }

    /// Runs a network on draw number `draw` of images and labels. Returns the logits of its heads, and its loss.
    fn network(&mut self, of: Recorded, draw: &str) -> (Vec<Vec<f32>>, f32) {
        let Recorded { tape, images, labels, logits, loss } = of;
        let (order, shape) = Order::of_value(tape.shape(images));
        let pixels = formula::unit(&format!("x{draw}"), &shape, order);
        let targets = formula::labels(&format!("labels{draw}"), shape[0], CLASSES);
        let session = &mut self.session;
        let program = session.load(&Arc::new(tape), LoadOptions::default()).expect("a program");
        session.write(program, images, &pixels).expect("written");
        session.write_words(program, labels, &targets).expect("written");
        session.run(program, &StepScalars::default()).expect("a run");
        let mut read = |id| session.read(program, id).expect("read");
        (logits.into_iter().map(&mut read).collect(), read(loss)[0])
    }

    /// Copies the running statistics of another session, by name.
    fn copy_statistics(&mut self, from: &mut Run) {
        let group = StateBuffer::RunningStatistics;
        let theirs = from.session.read_state(group).expect("read");
        let mut ours = vec![0.0; self.layout.n_elements(group)];
        for member in &self.layout.running_statistics {
            let (_, their_member) = from.layout.find(&member.name).expect("the same batch norm");
            ours[member.range()].copy_from_slice(&theirs[their_member.range()]);
        }
        self.session.write_state(group, &ours).expect("written");
    }

    /// Compares the gradients of all parameters.
    fn gradients(
        &mut self,
        expected: &BTreeMap<String, Sample>,
        tolerance: f64,
        failures: &mut Failures,
    ) {
        let buffer = self.session.read_state(StateBuffer::Gradients).expect("read");
        let largest = largest(expected);
        let members = &self.layout.parameters;
        for member in members {
            let (name, got) = (&member.name, &buffer[member.range()]);
            match expected.get(name) {
                Some(sample) => {
                    failures.sample(name, Order::of(member), got, sample, largest, tolerance);
                }
                None => failures.same(name, "a parameter", "none"),
            }
        }
        for name in expected.keys().filter(|name| *name != "x") {
            if !members.iter().any(|member| member.name == *name) {
                failures.same(name, "none", "a parameter");
            }
        }
    }
}

fn largest(gradients: &BTreeMap<String, Sample>) -> f64 {
    gradients.values().map(|sample| sample.norm).fold(0.0, f64::max)
}

/// Returns the bound for a network whose error in PyTorch's float32 is `float32`.
fn tolerance(bound: f64, is_plain: bool, float32: f64) -> f64 {
    if is_plain { bound.max(FLOAT32 * float32) } else { bound }
}

/// Compares the number of parameters, and the name and the shape of every entry of the state dict.
pub fn names(expected: &Names) -> Option<String> {
    let network = by_name(&expected.name).unwrap_or_else(|problem| panic!("{problem}"));
    let image = network.default_image();
    let config = NetworkConfig::new(network, network.default_width(), expected.classes);
    let tape = config.with_auxiliary(image).tape(image);
    let state = tape.state();
    let members = state.parameters.iter().chain(&state.running_statistics);
    let mut tensors: BTreeMap<String, Vec<usize>> =
        members.map(|member| (member.name.clone(), Order::of(member).1)).collect();
    // A file has the number of batches beside each running mean.
    let batches = |name: &String| {
        let layer = name.strip_suffix(".running_mean")?;
        Some((format!("{layer}.num_batches_tracked"), Vec::new()))
    };
    let counts: Vec<_> = tensors.keys().filter_map(batches).collect();
    tensors.extend(counts);
    let mut failures = Failures::default();
    failures.same("number of parameters", state.n_parameters(), expected.parameters);
    failures.same("default classes", network.default_classes(), expected.classes);
    for (name, shape) in &expected.tensors {
        failures.same(name, tensors.remove(name).as_ref(), Some(shape));
    }
    for (name, shape) in &tensors {
        failures.same(name, Some(shape), None);
    }
    failures.finish(&expected.name)
}

/// Runs a training pass, then an evaluation with the statistics of the training pass.
pub fn network(case: &NetworkCase, device: &Device) -> Option<String> {
    let network = without_dropout(&case.name);
    let record = |mode, pass: &Pass| {
        let auxiliary = !pass.aux.is_empty();
        let sizes = Sizes { width: network.default_width(), classes: CLASSES, auxiliary };
        Recorded::new(network, mode, sizes, pass.image, pass.batch)
    };
    let mut failures = Failures::default();
    let mut train = record(Mode::Train, &case.train);
    // With momentum 1, the running statistics become those of the batch.
    train.tape.in_phase(Phase::Update, |tape| running_statistics::update(tape, 1.0));
    let mut trained = Run::new(device, &train.tape.state().clone(), &case.branch_ends);
    let got = trained.network(train, "");
    compare_pass("training", &case.train, case.plain, got, &mut failures);

    let mut eval = record(Mode::Eval, &case.eval);
    eval.tape.inference_only();
    let mut evaluated = Run::new(device, &eval.tape.state().clone(), &case.branch_ends);
    evaluated.copy_statistics(&mut trained);
    drop(trained);
    let got = evaluated.network(eval, "");
    compare_pass("evaluation", &case.eval, case.plain, got, &mut failures);
    failures.finish(&case.name)
}

fn compare_pass(
    mode: &str,
    pass: &Pass,
    is_plain: bool,
    (logits, loss): (Vec<Vec<f32>>, f32),
    failures: &mut Failures,
) {
    let shape = [pass.batch, CLASSES];
    let tolerance = tolerance(TOLERANCE, is_plain, pass.float32);
    failures.same(&format!("{mode}: heads"), logits.len(), 1 + pass.aux.len());
    for (ix, (got, expected)) in
        logits.iter().zip([&pass.logits].into_iter().chain(&pass.aux)).enumerate()
    {
        let what = format!("{mode}: logits of head {ix}");
        failures.whole(&what, &shape, got, expected, tolerance);
    }
    failures.whole(&format!("{mode}: loss"), &[1], &[loss], &[pass.loss], tolerance);
}

/// Compares the loss and the gradients of a reduced network.
pub fn reduced_network(case: &ReducedCase, device: &Device) -> Option<String> {
    let (network, width) = reduced(&case.name);
    let auxiliary = case.gradients.keys().any(|name| name.starts_with("aux"));
    let sizes = Sizes { width, classes: CLASSES, auxiliary };
    let mut recorded = Recorded::new(network, Mode::Train, sizes, case.image, case.batch);
    passes::backward(&mut recorded.tape, recorded.loss);
    passes::eliminate_dead(&mut recorded.tape);
    let mut run = Run::new(device, &recorded.tape.state().clone(), &case.branch_ends);
    let (_, loss) = run.network(recorded, &case.redraw.to_string());
    let mut failures = Failures::default();
    failures.whole("loss", &[1], &[loss], &[case.loss], TOLERANCE);
    let tolerance = tolerance(GRADIENT_TOLERANCE, case.plain, case.float32);
    run.gradients(&case.gradients, tolerance, &mut failures);
    failures.finish(&case.name)
}

/// Compares the output and the gradients of a block.
pub fn block(case: &BlockCase, device: &Device) -> Option<String> {
    let BlockCase { network, part, redraw, .. } = case;
    let name = format!("{network} {part}");
    let Slice { mut tape, x, y } = slice(&whole(case), part, case.input[0]);
    let mut failures = Failures::default();
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
    let mut run = Run::new(device, &tape.state().clone(), &[]);
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
    let (largest, place) = (largest(&case.gradients), (x_order, case.input.clone()));
    failures.sample("gradient of the input", place, &got, expected, largest, GRADIENT_TOLERANCE);
    run.gradients(&case.gradients, GRADIENT_TOLERANCE, &mut failures);
    failures.finish(&name)
}

/// Returns the training tape of the network of a block.
fn whole(case: &BlockCase) -> Tape {
    let network = without_dropout(&case.network);
    let image = [case.image, case.image, 3];
    let auxiliary = network.has_auxiliary(image);
    let sizes = Sizes { width: network.default_width(), classes: case.classes, auxiliary };
    let mut tape = Tape::new(&case.network, Mode::Train);
    // In training, a batch norm of a plane of one pixel needs two images, which a slice may reduce to one.
    let shape = [case.input[0].max(2), case.image, case.image, 3];
    let images = tape.input("images", ElementType::F32, &shape);
    let heads = network.record(&mut tape, images, sizes);
    tape.keep(heads.logits);
    tape
}
