//! Flattening of images for a linear layer: `[N, H, W, C]` → `[N, C·H·W]`.
//!
//! `y[n, (c·H + h)·W + w] = x[n, h, w, c]`. This is PyTorch's order, so the weights of a linear layer match PyTorch's.
//!
//! Shaders: `shaders/flatten/`. Derivation: `docs/ops/flatten.md`.

use super::{Case, OpTests, case::Fill, nhwc};
use crate::kernel::{Binding, Launch, Real, Shader, Target, grid};
use crate::tape::{Args, Node, NodeIo, Op, OutputSpec, Reference, Tape, Value, ValueId};

/// Records the flattening of `[N, H, W, C]` to `[N, C·H·W]`.
pub fn flatten(tape: &mut Tape, x: ValueId) -> ValueId {
    let image = nhwc("flatten", tape.shape(x));
    tape.push_one(Flatten { image, backward: false }, &[x])
}

/// The copy `x -> y`, or, in the backward pass, the copy in the other direction, `d_y -> d_x`.
#[derive(Clone, Copy, Debug)]
pub struct Flatten {
    /// The shape of the image, `[N, H, W, C]`.
    pub image: [usize; 4],
    /// True for the copy from `[N, C·H·W]` to `[N, H, W, C]`.
    pub backward: bool,
}

impl Op for Flatten {
    fn name(&self) -> &'static str {
        if self.backward { "flatten.backward" } else { "flatten.forward" }
    }

    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec> {
        let [n, h, w, c] = self.image;
        let (flat, image) = ([n, c * h * w].to_vec(), self.image.to_vec());
        let (from, to) = if self.backward { (flat, image) } else { (image, flat) };
        let found = &inputs[0].shape;
        assert_eq!(found, &from, "flatten: the input has shape {found:?}, not {from:?}");
        let name = if self.backward { "flat.d_x" } else { "flat" };
        vec![OutputSpec::real(name, &to)]
    }

    fn backward(
        &self,
        tape: &mut Tape,
        _: &Node,
        d_outputs: &[Option<ValueId>],
    ) -> Vec<Option<ValueId>> {
        let op = Flatten { backward: !self.backward, ..*self };
        vec![d_outputs[0].map(|d_y| tape.push_one(op, &[d_y]))]
    }

    fn flops(&self, _: &NodeIo<'_>) -> u64 {
        0
    }

    fn launch(&self, io: &NodeIo<'_>, _: &Target) -> Launch {
        let [n, h, w, c] = self.image;
        let shader = Shader::new("flatten/forward")
            .constants(&[("N", n), ("H", h), ("W", w), ("C", c)])
            .constant("BACKWARD", self.backward);
        let bindings = [Binding::Input(0), Binding::Output(0)];
        Launch::one(shader, &bindings, grid(io.output(0).n_elements()))
    }
}

impl Reference for Flatten {
    fn run<T: Real>(&self, args: Args<'_, T>) {
        let (source, result) = (args.inputs[0].real(), args.outputs[0].real());
        let [_, h, w, c] = self.image;
        let images = source.chunks(h * w * c).zip(result.chunks_mut(h * w * c));
        for (source, result) in images {
            for pixel in 0..h * w {
                for channel in 0..c {
                    let (flat, image) = (channel * h * w + pixel, pixel * c + channel);
                    if self.backward {
                        result[image] = source[flat];
                    } else {
                        result[flat] = source[image];
                    }
                }
            }
        }
    }
}

/// The op's name and its test cases.
pub const ENTRY: OpTests = OpTests { stem: "flatten", cases };

fn cases() -> Vec<Case> {
    let case = |shape: &[usize]| {
        Case::new(format!("{shape:?}"), 1, |tape, inputs| vec![flatten(tape, inputs[0])]).real(
            "x",
            shape,
            Fill::Normal,
        )
    };
    vec![case(&[3, 4, 5, 6]), case(&[5, 1, 1, 7])]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::Mode;

    #[test]
    fn shape_rule() {
        let mut tape = Tape::new("test", Mode::Train);
        let x = tape.input_with_grad("x", &[2, 3, 4, 5]);
        let y = flatten(&mut tape, x);
        assert_eq!(tape.shape(y), [2, 60]);
    }
}
