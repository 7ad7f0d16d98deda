//! A test bench for an op: reads inputs from the file, records gradients, runs on a device, and compares.

use std::sync::Arc;

use wgrad::device::{Device, LoadOptions, Session};
use wgrad::kernel::StepScalars;
use wgrad::passes::{self, Gradients};
use wgrad::tape::{ElementType, Mode, Tape, ValueId};

use crate::case_file::{CaseFile, Tensor};
use crate::compare::{Failures, Order};

/// A tape with one op, and the contents of its inputs.
pub struct Bench<'a> {
    /// The file with the numbers.
    pub file: &'a CaseFile,
    /// The tape of the op.
    pub tape: Tape,
    /// The scalars of the step; zeros at first.
    pub step: StepScalars,
    tolerance: f64,
    reals: Vec<(ValueId, Vec<f32>)>,
    words: Vec<(ValueId, Vec<u32>)>,
    expected: Vec<(&'a str, ValueId, Order)>,
}

impl<'a> Bench<'a> {
    /// Returns a bench without inputs. It compares with the file's tolerance, or with `tolerance` if the file has none.
    pub fn new(file: &'a CaseFile, mode: Mode, tolerance: f64) -> Self {
        Self {
            file,
            tape: Tape::new("golden", mode),
            step: StepScalars::default(),
            tolerance: file.tolerance().unwrap_or(tolerance),
            reals: Vec::new(),
            words: Vec::new(),
            expected: Vec::new(),
        }
    }

    /// Adds an f32 input with a gradient.
    pub fn input(&mut self, key: &str, order: Order) -> ValueId {
        let tensor = self.file.tensor(key);
        let id = self.tape.input_with_grad(key, &order.our_shape(&tensor.shape));
        self.reals.push((id, order.to_ours(&tensor.shape, tensor.f32())));
        id
    }

    /// Adds an f32 input without a gradient.
    pub fn constant(&mut self, key: &str, order: Order) -> ValueId {
        let tensor = self.file.tensor(key);
        let id = self.tape.input(key, ElementType::F32, &order.our_shape(&tensor.shape));
        self.reals.push((id, order.to_ours(&tensor.shape, tensor.f32())));
        id
    }

    /// Adds an f32 input whose values are not in the file.
    pub fn reals(&mut self, name: &str, shape: &[usize], values: Vec<f32>) -> ValueId {
        let id = self.tape.input(name, ElementType::F32, shape);
        self.reals.push((id, values));
        id
    }

    /// Adds an input of u32 numbers, or of bytes with four in each word.
    pub fn words(
        &mut self,
        name: &str,
        element: ElementType,
        shape: &[usize],
        words: Vec<u32>,
    ) -> ValueId {
        let id = self.tape.input(name, element, shape);
        self.words.push((id, words));
        id
    }

    /// Records the backward pass from the file's upstream gradient `dy` of `y`, and expects each gradient to equal a
    /// tensor of the file. `inputs` are triples of an input, the tensor's name and the tensor's order.
    pub fn backward(&mut self, y: ValueId, order: Order, inputs: &[(ValueId, &'a str, Order)]) {
        let d_y = self.constant("dy", order);
        let gradients = passes::backward_from(&mut self.tape, &[(y, d_y)]);
        self.expect_gradients(&gradients, inputs);
    }

    /// Expects the gradient of each input to equal a tensor of the file. `inputs` are triples of an input, the tensor's
    /// name and the tensor's order.
    pub fn expect_gradients(
        &mut self,
        gradients: &Gradients,
        inputs: &[(ValueId, &'a str, Order)],
    ) {
        for &(input, key, order) in inputs {
            let gradient = gradients.get(input).unwrap_or_else(|| panic!("{key} has no gradient"));
            self.expect(key, gradient, order);
        }
    }

    /// Expects a value to equal the file's tensor `key`.
    pub fn expect(&mut self, key: &'a str, id: ValueId, order: Order) {
        self.tape.keep(id);
        self.expected.push((key, id, order));
    }

    /// Runs the tape on the device and compares all expected values. `prepare` receives the session before the run,
    /// `inspect` after it.
    pub fn run(
        self,
        device: &Device,
        failures: &mut Failures,
        prepare: impl FnOnce(&Tape, &mut dyn Session),
        inspect: impl FnOnce(&Tape, &mut dyn Session, &mut Failures, f64),
    ) {
        let tape = Arc::new(self.tape);
        let mut session = device.session(tape.state()).expect("a session");
        let program = session.load(&tape, LoadOptions::default()).expect("a program");
        for (id, values) in &self.reals {
            session.write(program, *id, values).expect("written");
        }
        for (id, words) in &self.words {
            session.write_words(program, *id, words).expect("written");
        }
        prepare(&tape, &mut *session);
        session.run(program, &self.step).expect("a run");
        for (key, id, order) in self.expected {
            let got = session.read(program, id).expect("read");
            compare(failures, key, self.file.tensor(key), &got, order, self.tolerance);
        }
        inspect(&tape, &mut *session, failures, self.tolerance);
    }

    /// Runs a tape that has no state and compares, like [`Bench::run`]. Fails the test if a value differs.
    pub fn finish(self, device: &Device) {
        let file = &self.file.name;
        let mut failures = Failures::default();
        self.run(device, &mut failures, |_, _| {}, |_, _, _, _| {});
        failures.finish(file);
    }
}

/// Compares an array in the tape's order with a tensor of the file.
pub fn compare(
    failures: &mut Failures,
    what: &str,
    expected: &Tensor,
    got: &[f32],
    order: Order,
    tolerance: f64,
) {
    let got = order.to_theirs(&expected.shape, got);
    let got: Vec<f64> = got.into_iter().map(f64::from).collect();
    failures.compare(what, &expected.shape, &got, &expected.f64(), tolerance);
}
