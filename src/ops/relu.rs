//! ReLU: `y = max(x, 0)`, elementwise, any shape.
//!
//! Shaders: `shaders/relu/`. Derivation: `docs/ops/relu.md`.

use super::{Case, OpTests, case::Fill};
use crate::kernel::cpu::CHUNK;
use crate::kernel::cpu::parallel::{chunk, for_each_chunk};
use crate::kernel::{Binding, Launch, Real, Shader, Target, grid};
use crate::tape::{Args, Node, NodeIo, Op, OutputSpec, Reference, Tape, Value, ValueId};

/// Records `max(x, 0)`.
pub fn relu(tape: &mut Tape, x: ValueId) -> ValueId {
    tape.push_one(Relu, &[x])
}

/// ReLU: `x -> y`.
#[derive(Clone, Copy, Debug)]
pub struct Relu;

impl Op for Relu {
    fn name(&self) -> &'static str {
        "relu.forward"
    }

    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec> {
        vec![OutputSpec::real("relu", &inputs[0].shape)]
    }

    fn backward(
        &self,
        tape: &mut Tape,
        node: &Node,
        d_outputs: &[Option<ValueId>],
    ) -> Vec<Option<ValueId>> {
        let d_y = d_outputs[0].expect("the one output has a gradient");
        vec![Some(tape.push_one(ReluBackward, &[node.outputs[0], d_y]))]
    }

    fn flops(&self, io: &NodeIo<'_>) -> u64 {
        io.output(0).n_elements() as u64
    }

    fn launch(&self, io: &NodeIo<'_>, _: &Target) -> Launch {
        let bindings = [Binding::Input(0), Binding::Output(0)];
        Launch::one(Shader::new("relu/forward"), &bindings, grid(io.output(0).n_elements()))
    }
}

impl Reference for Relu {
    fn run<T: Real>(&self, args: Args<'_, T>) {
        let (x, y) = (args.inputs[0].real(), args.outputs[0].real());
        for_each_chunk(y, CHUNK, &|ix, y| {
            for (y, &x) in y.iter_mut().zip(chunk(x, ix, CHUNK)) {
                *y = if x <= T::ZERO { T::ZERO } else { x };
            }
        });
    }
}

/// The gradient of ReLU: `y, d_y -> d_x`.
#[derive(Clone, Copy, Debug)]
pub struct ReluBackward;

impl Op for ReluBackward {
    fn name(&self) -> &'static str {
        "relu.backward"
    }

    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec> {
        let (y, d_y) = (&inputs[0].shape, &inputs[1].shape);
        assert_eq!(y, d_y, "relu: y has shape {y:?}, but its gradient {d_y:?}");
        vec![OutputSpec::real("relu.d_x", y)]
    }

    fn flops(&self, io: &NodeIo<'_>) -> u64 {
        io.output(0).n_elements() as u64
    }

    fn launch(&self, io: &NodeIo<'_>, _: &Target) -> Launch {
        let bindings = [Binding::Input(0), Binding::Input(1), Binding::Output(0)];
        Launch::one(Shader::new("relu/backward"), &bindings, grid(io.output(0).n_elements()))
    }
}

impl Reference for ReluBackward {
    fn run<T: Real>(&self, args: Args<'_, T>) {
        let (y, d_y) = (args.inputs[0].real(), args.inputs[1].real());
        let d_x = args.outputs[0].real();
        for_each_chunk(d_x, CHUNK, &|ix, d_x| {
            let (y, d_y) = (chunk(y, ix, CHUNK), chunk(d_y, ix, CHUNK));
            for ((d_x, &y), &d_y) in d_x.iter_mut().zip(y).zip(d_y) {
                *d_x = if y > T::ZERO { d_y } else { T::ZERO };
            }
        });
    }
}

/// The op's name and its test cases.
pub const ENTRY: OpTests = OpTests { stem: "relu", cases };

fn case(shape: &[usize], fill: Fill) -> Case {
    Case::new(format!("{shape:?} {fill:?}"), 1, |tape, x| vec![relu(tape, x[0])])
        .real("x", shape, fill)
}

fn cases() -> Vec<Case> {
    vec![
        case(&[3, 5, 6, 7], Fill::Normal),
        case(&[2, 3, 3, 5], Fill::Negative),
        case(&[257], Fill::Normal),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::Mode;

    #[test]
    fn keeps_the_shape() {
        let mut tape = Tape::new("test", Mode::Train);
        let x = tape.input_with_grad("x", &[2, 3, 4, 5]);
        let y = relu(&mut tape, x);
        assert_eq!(tape.shape(y), [2, 3, 4, 5]);
    }
}
