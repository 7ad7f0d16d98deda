//! A constant scalar. Differentiation starts with the constant 1, the gradient of the loss with respect to itself.
//!
//! Shaders: `shaders/fill/`. Derivation: `docs/ops/fill.md`.

use super::{Case, OpTests};
use crate::kernel::{Binding, Launch, Real, Shader, Target, grid};
use crate::tape::{Args, NodeIo, Op, OutputSpec, Reference, Value};

/// The constant: `-> y`, without inputs; y has shape `[1]`.
#[derive(Clone, Copy, Debug)]
pub struct Fill {
    /// The constant.
    pub value: f32,
}

impl Op for Fill {
    fn name(&self) -> &'static str {
        "fill.forward"
    }

    fn attributes(&self) -> String {
        format!("{}", self.value)
    }

    fn outputs(&self, _: &[&Value]) -> Vec<OutputSpec> {
        vec![OutputSpec::real("constant", &[1])]
    }

    fn flops(&self, _: &NodeIo<'_>) -> u64 {
        0
    }

    fn launch(&self, _: &NodeIo<'_>, _: &Target) -> Launch {
        let shader = Shader::new("fill/forward").constant("VALUE", self.value);
        Launch::one(shader, &[Binding::Output(0)], grid(1))
    }
}

impl Reference for Fill {
    fn run<T: Real>(&self, args: Args<'_, T>) {
        args.outputs[0].real().fill(T::from_f32(self.value));
    }
}

/// The op's name and its test cases.
pub const ENTRY: OpTests = OpTests { stem: "fill", cases };

fn cases() -> Vec<Case> {
    vec![Case::new("1.25", 1, |tape, _| vec![tape.push_one(Fill { value: 1.25 }, &[])])]
}
