//! Detaching: `y = x` in the forward pass, without a gradient in the backward pass; any shape.
//!
//! Shader: `shaders/detach/`. Derivation: `docs/ops/detach.md`.

use super::add::add;
use super::{Case, OpTests, case::Fill};
use crate::kernel::cpu::CHUNK;
use crate::kernel::cpu::parallel::{chunk, for_each_chunk};
use crate::kernel::{Binding, Launch, Real, Shader, Target, grid};
use crate::tape::{Args, ElementType, NodeIo, Op, OutputSpec, Reference, Tape, Value, ValueId};

/// Records a copy of x that requires no gradient. The backward pass computes no gradient of x for the nodes that read
/// the copy. For other nodes that read x, it computes the gradient as usual.
pub fn detach(tape: &mut Tape, x: ValueId) -> ValueId {
    tape.push_one(Detach, &[x])
}

/// The copy without a gradient: `x -> y`.
#[derive(Clone, Copy, Debug)]
pub struct Detach;

impl Op for Detach {
    fn name(&self) -> &'static str {
        "detach.forward"
    }

    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec> {
        vec![OutputSpec::real("detached", &inputs[0].shape)]
    }

    fn has_gradient(&self) -> bool {
        false
    }

    fn flops(&self, _: &NodeIo<'_>) -> u64 {
        0
    }

    fn launch(&self, io: &NodeIo<'_>, _: &Target) -> Launch {
        let bindings = [Binding::Input(0), Binding::Output(0)];
        Launch::one(Shader::new("detach/forward"), &bindings, grid(io.output(0).n_elements()))
    }
}

impl Reference for Detach {
    fn run<T: Real>(&self, args: Args<'_, T>) {
        let (x, y) = (args.inputs[0].real(), args.outputs[0].real());
        for_each_chunk(y, CHUNK, &|ix, y| y.copy_from_slice(chunk(x, ix, CHUNK)));
    }
}

/// The op's name and its test cases.
pub const ENTRY: OpTests = OpTests { stem: "detach", cases };

fn cases() -> Vec<Case> {
    let shape = [3, 5, 67];
    let sum = |tape: &mut Tape, x: &[ValueId]| {
        let detached = detach(tape, x[1]);
        vec![add(tape, x[0], detached)]
    };
    vec![Case::new("a + detach(b)", 2, sum).real("a", &shape, Fill::Normal).fixed(
        "b",
        &shape,
        ElementType::F32,
        Fill::Normal,
    )]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::mul::mul;
    use crate::tape::Mode;

    #[test]
    fn the_copy_and_the_values_computed_from_it_require_no_gradient() {
        let mut tape = Tape::new("test", Mode::Train);
        let x = tape.input_with_grad("x", &[2, 3]);
        let y = detach(&mut tape, x);
        let z = mul(&mut tape, y, y);
        let w = mul(&mut tape, x, y);
        let requires = [x, y, z, w].map(|id| tape.value(id).requires_grad);
        assert_eq!(requires, [true, false, false, true]);
    }
}
