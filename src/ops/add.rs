//! Addition of two values of the same shape. It adds a residual, or the two gradients of a value that two nodes read.
//!
//! Shaders: `shaders/add/`. Derivation: `docs/ops/add.md`.

use super::{Case, OpTests, case::Fill};
use crate::kernel::cpu::CHUNK;
use crate::kernel::cpu::parallel::{chunk, for_each_chunk};
use crate::kernel::{Binding, Launch, Real, Shader, Target, grid};
use crate::tape::{Args, Node, NodeIo, Op, OutputSpec, Reference, Tape, Value, ValueId};

/// Records `a + b`.
///
/// # Panics
/// If the shapes differ.
pub fn add(tape: &mut Tape, a: ValueId, b: ValueId) -> ValueId {
    tape.push_one(Add, &[a, b])
}

/// Addition: `a, b -> y`.
#[derive(Clone, Copy, Debug)]
pub struct Add;

impl Op for Add {
    fn name(&self) -> &'static str {
        "add.forward"
    }

    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec> {
        let (a, b) = (&inputs[0].shape, &inputs[1].shape);
        assert_eq!(a, b, "add: shapes {a:?} and {b:?} differ");
        vec![OutputSpec::real("sum", a)]
    }

    fn backward(
        &self,
        _: &mut Tape,
        _: &Node,
        d_outputs: &[Option<ValueId>],
    ) -> Vec<Option<ValueId>> {
        // The gradient of each input is the gradient of the sum, so no node is recorded.
        vec![d_outputs[0]; 2]
    }

    fn flops(&self, io: &NodeIo<'_>) -> u64 {
        io.output(0).n_elements() as u64
    }

    fn launch(&self, io: &NodeIo<'_>, _: &Target) -> Launch {
        let bindings = [Binding::Input(0), Binding::Input(1), Binding::Output(0)];
        Launch::one(Shader::new("add/forward"), &bindings, grid(io.output(0).n_elements()))
    }
}

impl Reference for Add {
    fn run<T: Real>(&self, args: Args<'_, T>) {
        let (a, b) = (args.inputs[0].real(), args.inputs[1].real());
        let y = args.outputs[0].real();
        for_each_chunk(y, CHUNK, &|ix, y| {
            let (a, b) = (chunk(a, ix, CHUNK), chunk(b, ix, CHUNK));
            for ((y, &a), &b) in y.iter_mut().zip(a).zip(b) {
                *y = a + b;
            }
        });
    }
}

/// The op's name and its test cases.
pub const ENTRY: OpTests = OpTests { stem: "add", cases };

fn case(shape: &[usize]) -> Case {
    Case::new(format!("{shape:?}"), 2, |tape, x| vec![add(tape, x[0], x[1])])
        .real("a", shape, Fill::Normal)
        .real("b", shape, Fill::Normal)
}

fn cases() -> Vec<Case> {
    let twice = Case::new("x + x: one value, two uses", 2, |tape, x| vec![add(tape, x[0], x[0])])
        .real("x", &[3, 7], Fill::Normal);
    vec![case(&[2, 3, 5, 7]), case(&[65]), twice]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::Mode;

    #[test]
    #[should_panic(expected = "add: shapes [2, 3] and [3, 2] differ")]
    fn refuses_other_shapes() {
        let mut tape = Tape::new("test", Mode::Train);
        let a = tape.input_with_grad("a", &[2, 3]);
        let b = tape.input_with_grad("b", &[3, 2]);
        add(&mut tape, a, b);
    }
}
