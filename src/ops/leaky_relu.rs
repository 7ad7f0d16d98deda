//! Leaky ReLU: `y = x` where x is positive, and `y = slope · x` elsewhere; elementwise, any shape.
//!
//! Shaders: `shaders/leaky_relu/`. Derivation: `docs/ops/leaky_relu.md`.

use super::{Case, OpTests, case::Fill};
use crate::kernel::cpu::CHUNK;
use crate::kernel::cpu::parallel::{chunk, for_each_chunk};
use crate::kernel::{Binding, Launch, Real, Shader, Target, grid};
use crate::tape::{Args, Node, NodeIo, Op, OutputSpec, Reference, Tape, Value, ValueId};

/// Records x where x is positive, and `slope * x` elsewhere.
///
/// # Panics
/// If the slope is not positive.
pub fn leaky_relu(tape: &mut Tape, x: ValueId, slope: f32) -> ValueId {
    // The backward rule reads the sign of x from y.
    assert!(slope > 0.0, "leaky_relu: the slope is {slope}, not positive");
    tape.push_one(LeakyRelu { slope }, &[x])
}

/// Leaky ReLU: `x -> y`.
#[derive(Clone, Copy, Debug)]
pub struct LeakyRelu {
    /// The factor of numbers that are not positive; above 0.
    pub slope: f32,
}

impl Op for LeakyRelu {
    fn name(&self) -> &'static str {
        "leaky_relu.forward"
    }

    fn attributes(&self) -> String {
        format!("slope {}", self.slope)
    }

    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec> {
        vec![OutputSpec::real("leaky_relu", &inputs[0].shape)]
    }

    fn backward(
        &self,
        tape: &mut Tape,
        node: &Node,
        d_outputs: &[Option<ValueId>],
    ) -> Vec<Option<ValueId>> {
        let d_y = d_outputs[0].expect("the one output has a gradient");
        let op = LeakyReluBackward { slope: self.slope };
        vec![Some(tape.push_one(op, &[node.outputs[0], d_y]))]
    }

    fn flops(&self, io: &NodeIo<'_>) -> u64 {
        io.output(0).n_elements() as u64
    }

    fn launch(&self, io: &NodeIo<'_>, _: &Target) -> Launch {
        let shader = Shader::new("leaky_relu/forward").constant("SLOPE", self.slope);
        let bindings = [Binding::Input(0), Binding::Output(0)];
        Launch::one(shader, &bindings, grid(io.output(0).n_elements()))
    }
}

impl Reference for LeakyRelu {
    fn run<T: Real>(&self, args: Args<'_, T>) {
        let slope = T::from_f32(self.slope);
        let (x, y) = (args.inputs[0].real(), args.outputs[0].real());
        for_each_chunk(y, CHUNK, &|ix, y| {
            for (y, &x) in y.iter_mut().zip(chunk(x, ix, CHUNK)) {
                *y = if x > T::ZERO { x } else { slope * x };
            }
        });
    }
}

/// The gradient of leaky ReLU: `y, d_y -> d_x`.
#[derive(Clone, Copy, Debug)]
pub struct LeakyReluBackward {
    /// The factor of numbers that are not positive; above 0.
    pub slope: f32,
}

impl Op for LeakyReluBackward {
    fn name(&self) -> &'static str {
        "leaky_relu.backward"
    }

    fn attributes(&self) -> String {
        format!("slope {}", self.slope)
    }

    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec> {
        let (y, d_y) = (&inputs[0].shape, &inputs[1].shape);
        assert_eq!(y, d_y, "leaky_relu: y has shape {y:?}, but its gradient {d_y:?}");
        vec![OutputSpec::real("leaky_relu.d_x", y)]
    }

    fn flops(&self, io: &NodeIo<'_>) -> u64 {
        io.output(0).n_elements() as u64
    }

    fn launch(&self, io: &NodeIo<'_>, _: &Target) -> Launch {
        let shader = Shader::new("leaky_relu/backward").constant("SLOPE", self.slope);
        let bindings = [Binding::Input(0), Binding::Input(1), Binding::Output(0)];
        Launch::one(shader, &bindings, grid(io.output(0).n_elements()))
    }
}

impl Reference for LeakyReluBackward {
    fn run<T: Real>(&self, args: Args<'_, T>) {
        let slope = T::from_f32(self.slope);
        let (y, d_y) = (args.inputs[0].real(), args.inputs[1].real());
        let d_x = args.outputs[0].real();
        for_each_chunk(d_x, CHUNK, &|ix, d_x| {
            let (y, d_y) = (chunk(y, ix, CHUNK), chunk(d_y, ix, CHUNK));
            for ((d_x, &y), &d_y) in d_x.iter_mut().zip(y).zip(d_y) {
                *d_x = if y > T::ZERO { d_y } else { slope * d_y };
            }
        });
    }
}

/// The op's name and its test cases.
pub const ENTRY: OpTests = OpTests { stem: "leaky_relu", cases };

fn case(shape: &[usize], fill: Fill, slope: f32) -> Case {
    let name = format!("{shape:?} {fill:?}, slope {slope}");
    Case::new(name, 1, move |tape, x| vec![leaky_relu(tape, x[0], slope)]).real("x", shape, fill)
}

fn cases() -> Vec<Case> {
    vec![
        case(&[3, 5, 6, 7], Fill::Normal, 0.2),
        case(&[2, 3, 3, 5], Fill::Negative, 0.01),
        case(&[257], Fill::Normal, 1.5),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::Mode;

    #[test]
    #[should_panic(expected = "leaky_relu: the slope is 0, not positive")]
    fn refuses_a_slope_of_zero() {
        let mut tape = Tape::new("test", Mode::Train);
        let x = tape.input_with_grad("x", &[2, 3, 4, 5]);
        leaky_relu(&mut tape, x, 0.0);
    }
}
