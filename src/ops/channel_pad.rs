//! Channels of zeros before and after the channels of a value: x `[..., C]` → y `[..., before + C + after]`.
//!
//! Shader: `shaders/channel_pad/`. Derivation: `docs/ops/channel_pad.md`.

use super::concat::ChannelSlice;
use super::{Case, OpTests, case::Fill, n_channels, n_rows};
use crate::kernel::{Binding, Launch, Real, Shader, Target, grid};
use crate::tape::{Args, Node, NodeIo, Op, OutputSpec, Reference, Tape, Value, ValueId};

/// Records the padding of x with `before` channels of zeros before its own channels and `after` channels of zeros
/// after them: `[..., C]` to `[..., before + C + after]`.
pub fn channel_pad(tape: &mut Tape, x: ValueId, before: usize, after: usize) -> ValueId {
    tape.push_one(ChannelPad { before, after }, &[x])
}

/// Padding of channels: `x -> y`.
#[derive(Clone, Copy, Debug)]
pub struct ChannelPad {
    /// The number of channels of zeros before those of x.
    pub before: usize,
    /// The number of channels of zeros after those of x.
    pub after: usize,
}

impl Op for ChannelPad {
    fn name(&self) -> &'static str {
        "channel_pad.forward"
    }

    fn attributes(&self) -> String {
        format!("{} before, {} after", self.before, self.after)
    }

    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec> {
        let mut shape = inputs[0].shape.clone();
        *shape.last_mut().expect("an axis") += self.before + self.after;
        vec![OutputSpec::real("padded", &shape)]
    }

    fn backward(
        &self,
        tape: &mut Tape,
        node: &Node,
        d_outputs: &[Option<ValueId>],
    ) -> Vec<Option<ValueId>> {
        let d_y = d_outputs[0].expect("y has a gradient");
        let channels = n_channels(tape.shape(node.inputs[0]));
        vec![Some(tape.push_one(ChannelSlice { first: self.before, channels }, &[d_y]))]
    }

    fn flops(&self, _: &NodeIo<'_>) -> u64 {
        0
    }

    fn launch(&self, io: &NodeIo<'_>, _: &Target) -> Launch {
        let shader = Shader::new("channel_pad/forward").constants(&[
            ("ROWS", n_rows(io.input_shape(0))),
            ("X_CHANNELS", n_channels(io.input_shape(0))),
            ("Y_CHANNELS", n_channels(&io.output(0).shape)),
            ("BEFORE", self.before),
        ]);
        let bindings = [Binding::Input(0), Binding::Output(0)];
        Launch::one(shader, &bindings, grid(io.output(0).n_elements()))
    }
}

impl Reference for ChannelPad {
    fn run<T: Real>(&self, args: Args<'_, T>) {
        let channels = n_channels(args.io.input_shape(0));
        let (x, y) = (args.inputs[0].real(), args.outputs[0].real());
        let rows = y.chunks_mut(self.before + channels + self.after).zip(x.chunks(channels));
        for (y, x) in rows {
            y.fill(T::ZERO);
            y[self.before..][..channels].copy_from_slice(x);
        }
    }
}

/// The op's name and its test cases.
pub const ENTRY: OpTests = OpTests { stem: "channel_pad", cases };

fn cases() -> Vec<Case> {
    let case = |shape: &[usize], before: usize, after: usize| {
        let name = format!("{shape:?}, {before} before, {after} after");
        Case::new(name, 1, move |tape, x| vec![channel_pad(tape, x[0], before, after)]).real(
            "x",
            shape,
            Fill::Normal,
        )
    };
    vec![case(&[2, 4, 5, 3], 2, 1), case(&[7, 6], 0, 3), case(&[7, 1], 3, 0)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::Mode;

    #[test]
    fn the_channels_of_x_stand_between_the_zeros() {
        let mut tape = Tape::new("test", Mode::Train);
        let x = tape.input_with_grad("x", &[2, 3, 4]);
        let y = channel_pad(&mut tape, x, 2, 1);
        assert_eq!(tape.shape(y), [2, 3, 7]);
    }
}
