//! Checks of an op on a device: records a [`Case`] on a tape, fills it with random numbers, runs it on two sessions,
//! and compares all results.
//!
//! The tests and `wgrad devices` check all ops with this module. This example checks one op:
//!
//! ```
//! use wgrad::measure::check::CaseTape;
//! use wgrad::device::{Device, OpenOptions};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (reference, device) = (Device::cpu(OpenOptions::default()), Device::cpu(OpenOptions::default()));
//! for check in CaseTape::all().filter(|check| check.op == "relu") {
//!     let data = check.fill(7);
//!     let expected = check.run_on(&mut *reference.session(check.tape.state())?, &data)?;
//!     let got = check.run_on(&mut *device.session(check.tape.state())?, &data)?;
//!     check.compare(&expected, &got)?;
//! }
//! # Ok(())
//! # }
//! ```

mod compare;
mod fill;
mod self_test;

use std::sync::Arc;

pub use compare::{Mismatch, TOLERANCE};
pub use fill::CaseData;
pub use self_test::{Failure, SelfTest, self_test};

use crate::device::DeviceError;
use crate::device::{LoadOptions, ProgramId, Session};
use crate::ops::case::{Case, CaseInput};
use crate::ops::{self, scale};
use crate::passes::{self, fuse::Fusion};
use crate::tape::{ElementType, Mode, StateBuffer, Storage, Tape, ValueId};

/// The factor of the op `scale` between each differentiated input and the checked op. It is positive, so inputs keep
/// their signs. It is a dyadic fraction, so multiples of 0.5 are scaled exactly, and no new ties between inputs arise.
const SCALE_BEFORE: f32 = 0.75;
/// The factor of the op `scale` between the checked op and each result. It is neither 1 nor -1. So a backward rule that
/// drops its upstream gradient, or applies it twice, gives wrong numbers.
const SCALE_AFTER: f32 = -1.5;

/// A value of a case, and its gradient.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WithGradient {
    /// An input, a parameter, or a result.
    pub value: ValueId,
    /// The gradient of `value`. For an input or a parameter, the backward pass computes it. For a result, it is a given
    /// input.
    pub gradient: ValueId,
}

/// A test case of an op on a tape, with its backward pass: `inputs -> scale -> the op -> scale -> results`.
pub struct CaseTape {
    /// The name of the op.
    pub op: &'static str,
    /// The name of the case.
    pub case: String,
    /// The number of terms of the longest sum. The tolerance grows with the square root of this number.
    pub reduction: usize,
    /// The tape.
    pub tape: Arc<Tape>,
    /// The inputs that the host fills, with the case's description of each.
    pub inputs: Vec<(CaseInput, ValueId)>,
    /// The results that the case's function `build` returns.
    pub outputs: Vec<ValueId>,
    /// The scaled results that a gradient can flow through, each with the input for its upstream gradient. The backward
    /// pass computes the gradients of the scalar `Σ value · gradient` over these pairs.
    pub upstreams: Vec<WithGradient>,
    /// The differentiated inputs and parameters, with their gradients.
    pub gradients: Vec<WithGradient>,
}

/// The results of a run.
#[derive(Clone, PartialEq, Debug)]
pub struct CaseResult {
    /// Every value that a node computed, except members of the state, in the order of the tape.
    pub values: Vec<(ValueId, Contents)>,
    /// The state, in the order of [`StateBuffer::ALL`], padding included.
    pub state: Vec<Vec<f32>>,
}

/// The contents of a value.
#[derive(Clone, PartialEq, Debug)]
pub enum Contents {
    /// Floating-point numbers.
    Real(Vec<f32>),
    /// 32-bit words.
    Words(Vec<u32>),
}

/// Applies all fusion rules to the tape of a case, if the case has places to fuse.
///
/// # Panics
/// If the number of fused places is not `case.n_fused`.
pub fn fuse(tape: &mut Tape, case: &Case) {
    if case.n_fused > 0 {
        let n_places = passes::fuse(tape, Fusion::ALL);
        assert_eq!(n_places, case.n_fused, "{}: places that are fused", case.name);
    }
}

impl CaseTape {
    /// Returns all cases of all ops.
    pub fn all() -> impl Iterator<Item = CaseTape> {
        Self::of(|_| true)
    }

    /// Returns the cases of all ops, without those that exist only for an algorithm of the CPU device.
    pub fn for_shaders() -> impl Iterator<Item = CaseTape> {
        Self::of(|case| !case.for_cpu)
    }

    /// Returns the cases that fulfil a condition.
    fn of(condition: fn(&Case) -> bool) -> impl Iterator<Item = CaseTape> {
        ops::ALL.iter().flat_map(move |op| {
            let cases = (op.cases)().into_iter().filter(condition);
            cases.map(|case| CaseTape::record(op.stem, &case))
        })
    }

    /// Records a case of the op `op`.
    ///
    /// Every result of type f32 that a gradient can flow through gets an upstream gradient, which is a further input.
    /// Some ops have f32 outputs without a gradient, such as batch norm's mean. A case does not return such outputs as
    /// results. They are compared too, because [`CaseTape::compare`] compares all outputs of all nodes.
    ///
    /// # Panics
    /// If a case requires a gradient that the backward rule does not compute.
    pub fn record(op: &'static str, case: &Case) -> Self {
        let mut tape = Tape::new(op, Mode::Train);
        let inputs: Vec<ValueId> = case.inputs.iter().map(|i| input(&mut tape, i)).collect();
        let scaled: Vec<ValueId> = inputs
            .iter()
            .map(|&x| match tape.value(x).requires_grad {
                true => scale::scale(&mut tape, x, SCALE_BEFORE),
                false => x,
            })
            .collect();
        let outputs = tape.scoped("case", |tape| (case.build)(tape, &scaled));
        fuse(&mut tape, case);
        let upstreams = upstreams(&mut tape, &outputs);
        let seeds: Vec<_> = upstreams.iter().map(|u| (u.value, u.gradient)).collect();
        let gradients = passes::backward_from(&mut tape, &seeds);

        let parameters = tape.state().parameters.clone();
        let parameters = parameters.iter().filter_map(|p| tape.find_member(&p.name));
        let with_gradient =
            |value| gradients.get(value).map(|gradient| WithGradient { value, gradient });
        let mut differentiated: Vec<WithGradient> = Vec::new();
        for (&value, input) in inputs.iter().zip(&case.inputs).filter(|(_, i)| i.differentiate) {
            let pair = with_gradient(value);
            let message = || format!("{op}, {}: no gradient of {}", case.name, input.name);
            differentiated.push(pair.unwrap_or_else(|| panic!("{}", message())));
        }
        differentiated.extend(parameters.filter_map(with_gradient));
        Self {
            op,
            case: case.name.clone(),
            reduction: case.reduction,
            tape: Arc::new(tape),
            inputs: case.inputs.iter().cloned().zip(inputs).collect(),
            outputs,
            upstreams,
            gradients: differentiated,
        }
    }

    /// Loads the case, fills it with `data`, runs it once, and reads all results.
    ///
    /// # Errors
    /// If the device fails.
    ///
    /// # Panics
    /// If the session's state layout differs from that of the case's tape.
    pub fn run_on(
        &self,
        session: &mut dyn Session,
        data: &CaseData,
    ) -> Result<CaseResult, DeviceError> {
        let program = session.load(&self.tape, LoadOptions { keep_all: true })?;
        self.write(session, program, data)?;
        session.run(program, &data.step)?;
        self.read(session, program)
    }

    /// Writes the inputs of a loaded program, and the state, from `data`.
    ///
    /// # Errors
    /// If the device fails.
    pub fn write(
        &self,
        session: &mut dyn Session,
        program: ProgramId,
        data: &CaseData,
    ) -> Result<(), DeviceError> {
        for (buffer, values) in StateBuffer::ALL.into_iter().zip(&data.state) {
            session.write_state(buffer, values)?;
        }
        for (id, contents) in &data.inputs {
            match contents {
                Contents::Real(values) => session.write(program, *id, values)?,
                Contents::Words(words) => session.write_words(program, *id, words)?,
            }
        }
        Ok(())
    }

    /// Reads all values that a loaded program computed, and the state.
    ///
    /// # Errors
    /// If the device fails.
    pub fn read(
        &self,
        session: &mut dyn Session,
        program: ProgramId,
    ) -> Result<CaseResult, DeviceError> {
        let made = self.tape.nodes().iter().flat_map(|node| &node.outputs).copied();
        let transient = made.filter(|&id| self.tape.value(id).storage == Storage::Transient);
        let values = transient.map(|id| {
            let contents = match self.tape.value(id).element {
                ElementType::F32 => Contents::Real(session.read(program, id)?),
                _ => Contents::Words(session.read_words(program, id)?),
            };
            Ok((id, contents))
        });
        let values = values.collect::<Result<_, DeviceError>>()?;
        let state = StateBuffer::ALL.into_iter().map(|buffer| session.read_state(buffer));
        Ok(CaseResult { values, state: state.collect::<Result<_, DeviceError>>()? })
    }
}

fn input(tape: &mut Tape, input: &CaseInput) -> ValueId {
    match input.differentiate {
        true => tape.input_with_grad(input.name, &input.shape),
        false => tape.input(input.name, input.element, &input.shape),
    }
}

/// Scales each result that a gradient can flow through, and adds an input for its gradient.
fn upstreams(tape: &mut Tape, outputs: &[ValueId]) -> Vec<WithGradient> {
    let differentiable = |&&y: &&ValueId| {
        let value = tape.value(y);
        value.requires_grad && value.element == ElementType::F32
    };
    let outputs: Vec<ValueId> = outputs.iter().filter(differentiable).copied().collect();
    let pair = |y| {
        let value = scale::scale(tape, y, SCALE_AFTER);
        let (name, shape) = (format!("d_{}", tape.value(y).name), tape.shape(y).to_vec());
        WithGradient { value, gradient: tape.input(&name, ElementType::F32, &shape) }
    };
    outputs.into_iter().map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::cpu::CpuDevice;
    use crate::ops::case::Fill;
    use crate::ops::relu;

    fn relu_case() -> CaseTape {
        let case = Case::new("test", 1, |tape, x| vec![relu::relu(tape, x[0])]);
        CaseTape::record("relu", &case.real("x", &[3, 5], Fill::Normal))
    }

    fn run(check: &CaseTape, seed: u64) -> CaseResult {
        let mut session = CpuDevice::default().session::<f32>(check.tape.state());
        check.run_on(&mut session, &check.fill(seed)).expect("the CPU runs")
    }

    #[test]
    fn the_op_stands_between_two_scales() {
        let check = relu_case();
        let ops: Vec<_> = check.tape.nodes().iter().map(|n| n.op.name()).collect();
        let expected = [
            "scale.forward",
            "relu.forward",
            "scale.forward",
            "scale.forward",
            "relu.backward",
            "scale.forward",
        ];
        assert_eq!(ops, expected);
        assert_eq!((check.upstreams.len(), check.gradients.len()), (1, 1));
    }

    #[test]
    fn the_contents_are_a_function_of_the_seed() {
        let check = relu_case();
        assert_eq!(run(&check, 1), run(&check, 1));
        assert!(check.compare(&run(&check, 1), &run(&check, 2)).is_err());
    }

    #[test]
    fn every_case_can_be_recorded_and_agrees_with_itself() {
        for check in CaseTape::all() {
            let worst = check.compare(&run(&check, 3), &run(&check, 3));
            assert_eq!(worst.unwrap_or_else(|error| panic!("{error}")), 0.0);
        }
    }
}
