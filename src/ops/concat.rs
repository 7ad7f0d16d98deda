//! Concatenation along channels: a `[..., Ca]` and b `[..., Cb]` → y `[..., Ca + Cb]`.
//!
//! Shaders: `shaders/concat/`. Derivation: `docs/ops/concat.md`.

use super::{Case, OpTests, case::Fill, n_channels, n_rows};
use crate::kernel::{Binding, Launch, Real, Shader, Target, grid};
use crate::tape::{Args, Node, NodeIo, Op, OutputSpec, Reference, Tape, Value, ValueId};

/// Records the concatenation of two values along channels.
///
/// # Panics
/// If the values differ in an axis other than the channels.
pub fn concat(tape: &mut Tape, a: ValueId, b: ValueId) -> ValueId {
    tape.push_one(Concat, &[a, b])
}

/// Concatenation: `a, b -> y`.
#[derive(Clone, Copy, Debug)]
pub struct Concat;

impl Op for Concat {
    fn name(&self) -> &'static str {
        "concat.forward"
    }

    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec> {
        let (a, b) = (&inputs[0].shape, &inputs[1].shape);
        assert_eq!(
            a[..a.len() - 1],
            b[..b.len() - 1],
            "concat: shapes {a:?} and {b:?} differ before the channels"
        );
        let mut shape = a.clone();
        *shape.last_mut().expect("an axis") += n_channels(b);
        vec![OutputSpec::real("concat", &shape)]
    }

    fn backward(
        &self,
        tape: &mut Tape,
        node: &Node,
        d_outputs: &[Option<ValueId>],
    ) -> Vec<Option<ValueId>> {
        let d_y = d_outputs[0].expect("y has a gradient");
        let [a, b] = [0, 1].map(|i| n_channels(tape.shape(node.inputs[i])));
        [(0, a), (a, b)]
            .map(|(first, channels)| Some(tape.push_one(ChannelSlice { first, channels }, &[d_y])))
            .into()
    }

    fn flops(&self, _: &NodeIo<'_>) -> u64 {
        0
    }

    fn launch(&self, io: &NodeIo<'_>, _: &Target) -> Launch {
        let shader = Shader::new("concat/forward").constants(&[
            ("ROWS", n_rows(io.input_shape(0))),
            ("A_CHANNELS", n_channels(io.input_shape(0))),
            ("B_CHANNELS", n_channels(io.input_shape(1))),
        ]);
        let bindings = [Binding::Input(0), Binding::Input(1), Binding::Output(0)];
        Launch::one(shader, &bindings, grid(io.output(0).n_elements()))
    }
}

impl Reference for Concat {
    fn run<T: Real>(&self, args: Args<'_, T>) {
        let [a, b] = [0, 1].map(|i| n_channels(args.io.input_shape(i)));
        let rows = args.inputs[0].real().chunks(a).zip(args.inputs[1].real().chunks(b));
        for (y, (row_a, row_b)) in args.outputs[0].real().chunks_mut(a + b).zip(rows) {
            y[..a].copy_from_slice(row_a);
            y[a..].copy_from_slice(row_b);
        }
    }
}

/// The copy of a range of channels, `x -> y`. It is the gradient of one input of a concatenation.
#[derive(Clone, Copy, Debug)]
pub struct ChannelSlice {
    /// The first channel.
    pub first: usize,
    /// The number of channels.
    pub channels: usize,
}

impl Op for ChannelSlice {
    fn name(&self) -> &'static str {
        "concat.slice"
    }

    fn attributes(&self) -> String {
        format!("channels {}..{}", self.first, self.first + self.channels)
    }

    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec> {
        let mut shape = inputs[0].shape.clone();
        assert!(self.first + self.channels <= n_channels(&shape), "concat: {self:?} of {shape:?}");
        *shape.last_mut().expect("an axis") = self.channels;
        vec![OutputSpec::real("slice", &shape)]
    }

    fn flops(&self, _: &NodeIo<'_>) -> u64 {
        0
    }

    fn launch(&self, io: &NodeIo<'_>, _: &Target) -> Launch {
        let shader = Shader::new("concat/slice").constants(&[
            ("ROWS", n_rows(io.input_shape(0))),
            ("X_CHANNELS", n_channels(io.input_shape(0))),
            ("FIRST", self.first),
            ("CHANNELS", self.channels),
        ]);
        let bindings = [Binding::Input(0), Binding::Output(0)];
        Launch::one(shader, &bindings, grid(io.output(0).n_elements()))
    }
}

impl Reference for ChannelSlice {
    fn run<T: Real>(&self, args: Args<'_, T>) {
        let rows = args.inputs[0].real().chunks(n_channels(args.io.input_shape(0)));
        for (y, x) in args.outputs[0].real().chunks_mut(self.channels).zip(rows) {
            y.copy_from_slice(&x[self.first..][..self.channels]);
        }
    }
}

/// The op's name and its test cases.
pub const ENTRY: OpTests = OpTests { stem: "concat", cases };

fn cases() -> Vec<Case> {
    let case = |rows: &[usize], a: usize, b: usize| {
        let shape = |c| [rows, &[c]].concat();
        let name = format!("{rows:?} with {a} and {b} channels");
        Case::new(name, 1, |tape, inputs| vec![concat(tape, inputs[0], inputs[1])])
            .real("a", &shape(a), Fill::Normal)
            .real("b", &shape(b), Fill::Normal)
    };
    vec![case(&[2, 4, 5], 3, 6), case(&[7], 1, 1)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::Mode;

    #[test]
    #[should_panic(expected = "concat: shapes [2, 3, 4] and [2, 4, 4] differ")]
    fn refuses_other_rows() {
        let mut tape = Tape::new("test", Mode::Train);
        let a = tape.input_with_grad("a", &[2, 3, 4]);
        let b = tape.input_with_grad("b", &[2, 4, 4]);
        concat(&mut tape, a, b);
    }
}
