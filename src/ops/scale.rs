//! Multiplication by a number: a constant, or a scalar that another node computes.
//!
//! Shaders: `shaders/scale/`. Derivation: `docs/ops/scale.md`.

use super::{Case, OpTests, case::Fill};
use crate::kernel::{Binding, Launch, Real, Shader, Target, grid};
use crate::tape::{
    Args, ElementType, Node, NodeIo, Op, OutputSpec, Reference, Tape, Value, ValueId,
};

/// Records `factor * x`.
pub fn scale(tape: &mut Tape, x: ValueId, factor: f32) -> ValueId {
    tape.push_one(Scale { factor }, &[x])
}

/// Records `scalar * x`. `scalar` has shape `[1]` and gets no gradient.
///
/// # Panics
/// If `scalar` has another shape.
pub fn scale_by(tape: &mut Tape, x: ValueId, scalar: ValueId) -> ValueId {
    tape.push_one(ScaleBy, &[x, scalar])
}

/// Multiplication by a constant: `x -> factor * x`.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// The factor.
    pub factor: f32,
}

impl Op for Scale {
    fn name(&self) -> &'static str {
        "scale.forward"
    }

    fn attributes(&self) -> String {
        format!("factor {}", self.factor)
    }

    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec> {
        vec![OutputSpec::real("scaled", &inputs[0].shape)]
    }

    fn backward(
        &self,
        tape: &mut Tape,
        _: &Node,
        d_outputs: &[Option<ValueId>],
    ) -> Vec<Option<ValueId>> {
        vec![d_outputs[0].map(|d_y| scale(tape, d_y, self.factor))]
    }

    fn flops(&self, io: &NodeIo<'_>) -> u64 {
        io.output(0).n_elements() as u64
    }

    fn launch(&self, io: &NodeIo<'_>, _: &Target) -> Launch {
        let shader = Shader::new("scale/forward").constant("FACTOR", self.factor);
        let bindings = [Binding::Input(0), Binding::Output(0)];
        Launch::one(shader, &bindings, grid(io.output(0).n_elements()))
    }
}

impl Reference for Scale {
    fn run<T: Real>(&self, args: Args<'_, T>) {
        let factor = T::from_f32(self.factor);
        for (y, &x) in args.outputs[0].real().iter_mut().zip(args.inputs[0].real()) {
            *y = factor * x;
        }
    }
}

/// Multiplication by a scalar value: `x, scalar -> scalar * x`.
#[derive(Clone, Copy, Debug)]
pub struct ScaleBy;

impl Op for ScaleBy {
    fn name(&self) -> &'static str {
        "scale.by_scalar"
    }

    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec> {
        let scalar = &inputs[1].shape;
        assert_eq!(scalar, &[1], "scale: the scalar has shape {scalar:?}, not [1]");
        vec![OutputSpec::real("scaled", &inputs[0].shape)]
    }

    fn backward(
        &self,
        tape: &mut Tape,
        node: &Node,
        d_outputs: &[Option<ValueId>],
    ) -> Vec<Option<ValueId>> {
        let scalar = node.inputs[1];
        assert!(
            !tape.value(scalar).requires_grad,
            "scale: a scalar that needs a gradient is not supported"
        );
        vec![d_outputs[0].map(|d_y| scale_by(tape, d_y, scalar)), None]
    }

    fn flops(&self, io: &NodeIo<'_>) -> u64 {
        io.output(0).n_elements() as u64
    }

    fn launch(&self, io: &NodeIo<'_>, _: &Target) -> Launch {
        let bindings = [Binding::Input(0), Binding::Input(1), Binding::Output(0)];
        Launch::one(Shader::new("scale/by_scalar"), &bindings, grid(io.output(0).n_elements()))
    }
}

impl Reference for ScaleBy {
    fn run<T: Real>(&self, args: Args<'_, T>) {
        let scalar = args.inputs[1].real()[0];
        for (y, &x) in args.outputs[0].real().iter_mut().zip(args.inputs[0].real()) {
            *y = scalar * x;
        }
    }
}

/// The op's name and its test cases.
pub const ENTRY: OpTests = OpTests { stem: "scale", cases };

fn cases() -> Vec<Case> {
    vec![
        Case::new("by -1.7", 1, |tape, x| vec![scale(tape, x[0], -1.7)]).real(
            "x",
            &[3, 5, 7],
            Fill::Normal,
        ),
        Case::new("by a scalar", 1, |tape, x| vec![scale_by(tape, x[0], x[1])])
            .real("x", &[3, 67], Fill::Normal)
            .fixed("scalar", &[1], ElementType::F32, Fill::Positive),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::Mode;

    #[test]
    #[should_panic(expected = "the scalar has shape [2]")]
    fn refuses_a_scalar_of_two_elements() {
        let mut tape = Tape::new("test", Mode::Train);
        let x = tape.input_with_grad("x", &[2, 3]);
        let s = tape.input("s", ElementType::F32, &[2]);
        scale_by(&mut tape, x, s);
    }
}
