//! Sigmoid: `y = σ(x) = 1 / (1 + exp(-x))`, elementwise, any shape.
//!
//! Shaders: `shaders/sigmoid/`. Derivation: `docs/ops/sigmoid.md`.

use super::{Case, OpTests, case::Fill};
use crate::kernel::cpu::CHUNK;
use crate::kernel::cpu::parallel::{chunk, for_each_chunk};
use crate::kernel::{Binding, Launch, Real, Shader, Target, grid};
use crate::tape::{Args, Node, NodeIo, Op, OutputSpec, Reference, Tape, Value, ValueId};

/// Records `1 / (1 + exp(-x))`.
pub fn sigmoid(tape: &mut Tape, x: ValueId) -> ValueId {
    tape.push_one(Sigmoid, &[x])
}

/// Sigmoid: `x -> y`.
#[derive(Clone, Copy, Debug)]
pub struct Sigmoid;

impl Op for Sigmoid {
    fn name(&self) -> &'static str {
        "sigmoid.forward"
    }

    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec> {
        vec![OutputSpec::real("sigmoid", &inputs[0].shape)]
    }

    fn backward(
        &self,
        tape: &mut Tape,
        node: &Node,
        d_outputs: &[Option<ValueId>],
    ) -> Vec<Option<ValueId>> {
        let d_y = d_outputs[0].expect("the one output has a gradient");
        vec![Some(tape.push_one(SigmoidBackward, &[node.outputs[0], d_y]))]
    }

    fn flops(&self, io: &NodeIo<'_>) -> u64 {
        3 * io.output(0).n_elements() as u64
    }

    fn launch(&self, io: &NodeIo<'_>, _: &Target) -> Launch {
        let bindings = [Binding::Input(0), Binding::Output(0)];
        Launch::one(Shader::new("sigmoid/forward"), &bindings, grid(io.output(0).n_elements()))
    }
}

impl Reference for Sigmoid {
    fn run<T: Real>(&self, args: Args<'_, T>) {
        let (x, y) = (args.inputs[0].real(), args.outputs[0].real());
        for_each_chunk(y, CHUNK, &|ix, y| {
            for (y, &x) in y.iter_mut().zip(chunk(x, ix, CHUNK)) {
                *y = logistic(x);
            }
        });
    }
}

/// Returns `1 / (1 + exp(-x))`, without an exponential of anything positive, which could overflow.
pub(crate) fn logistic<T: Real>(x: T) -> T {
    let t = (-x.max(-x)).exp();
    let numerator = if x >= T::ZERO { T::ONE } else { t };
    numerator / (T::ONE + t)
}

/// The gradient of the sigmoid: `y, d_y -> d_x`.
#[derive(Clone, Copy, Debug)]
pub struct SigmoidBackward;

impl Op for SigmoidBackward {
    fn name(&self) -> &'static str {
        "sigmoid.backward"
    }

    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec> {
        let (y, d_y) = (&inputs[0].shape, &inputs[1].shape);
        assert_eq!(y, d_y, "sigmoid: y has shape {y:?}, but its gradient {d_y:?}");
        vec![OutputSpec::real("sigmoid.d_x", y)]
    }

    fn flops(&self, io: &NodeIo<'_>) -> u64 {
        3 * io.output(0).n_elements() as u64
    }

    fn launch(&self, io: &NodeIo<'_>, _: &Target) -> Launch {
        let bindings = [Binding::Input(0), Binding::Input(1), Binding::Output(0)];
        Launch::one(Shader::new("sigmoid/backward"), &bindings, grid(io.output(0).n_elements()))
    }
}

impl Reference for SigmoidBackward {
    fn run<T: Real>(&self, args: Args<'_, T>) {
        let (y, d_y) = (args.inputs[0].real(), args.inputs[1].real());
        let d_x = args.outputs[0].real();
        for_each_chunk(d_x, CHUNK, &|ix, d_x| {
            let (y, d_y) = (chunk(y, ix, CHUNK), chunk(d_y, ix, CHUNK));
            for ((d_x, &y), &d_y) in d_x.iter_mut().zip(y).zip(d_y) {
                *d_x = d_y * (T::ONE - y) * y;
            }
        });
    }
}

/// The op's name and its test cases.
pub const ENTRY: OpTests = OpTests { stem: "sigmoid", cases };

fn case(shape: &[usize], fill: Fill) -> Case {
    Case::new(format!("{shape:?} {fill:?}"), 1, |tape, x| vec![sigmoid(tape, x[0])])
        .real("x", shape, fill)
}

fn cases() -> Vec<Case> {
    vec![
        case(&[3, 5, 6, 7], Fill::Normal),
        case(&[2, 3, 3, 5], Fill::Around(-8.0)),
        case(&[257], Fill::Normal),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_far_from_zero_become_0_and_1() {
        assert_eq!([-1e30, -0.0, 1e30].map(logistic), [0.0_f32, 0.5, 1.0]);
        assert!(logistic(f32::NAN).is_nan());
    }

    #[test]
    fn small_results_keep_their_digits() {
        let error = (logistic(-80.0_f32) / (-80.0_f32).exp() - 1.0).abs();
        assert!(error < 1e-6, "{error}");
    }
}
