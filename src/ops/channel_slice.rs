//! A range of the channels of a value: x `[..., C]` → y `[..., channels]`.
//!
//! The nodes of this op and of [`channel_pad`](super::channel_pad) are here together, because each is the gradient of
//! the other.
//!
//! Shader: `shaders/channel_slice/`. Derivation: `docs/ops/channel_slice.md`.

use super::{Case, OpTests, case::Fill, n_channels};
use crate::kernel::cpu::CHUNK;
use crate::kernel::cpu::parallel::{chunk, for_each_chunk};
use crate::kernel::{Binding, Launch, Real, Shader, Target, grid};
use crate::tape::{Args, Node, NodeIo, Op, OutputSpec, Reference, Tape, Value, ValueId};

/// Records the slice of x with the channels `first..first + channels`.
///
/// # Panics
/// If the range is empty, or x does not have all of its channels.
pub fn channel_slice(tape: &mut Tape, x: ValueId, first: usize, channels: usize) -> ValueId {
    tape.push_one(ChannelSlice { first, channels }, &[x])
}

/// The copy of a range of channels: `x -> y`.
#[derive(Clone, Copy, Debug)]
pub struct ChannelSlice {
    /// The first channel.
    pub first: usize,
    /// The number of channels.
    pub channels: usize,
}

impl Op for ChannelSlice {
    fn name(&self) -> &'static str {
        "channel_slice.forward"
    }

    fn attributes(&self) -> String {
        format!("channels {}..{}", self.first, self.first + self.channels)
    }

    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec> {
        let mut shape = inputs[0].shape.clone();
        let fits = self.channels > 0 && self.first + self.channels <= n_channels(&shape);
        assert!(fits, "channel_slice: {} of {shape:?}", self.attributes());
        *shape.last_mut().expect("an axis") = self.channels;
        vec![OutputSpec::real("slice", &shape)]
    }

    fn backward(
        &self,
        tape: &mut Tape,
        node: &Node,
        d_outputs: &[Option<ValueId>],
    ) -> Vec<Option<ValueId>> {
        let d_y = d_outputs[0].expect("y has a gradient");
        let after = n_channels(tape.shape(node.inputs[0])) - self.first - self.channels;
        vec![Some(tape.push_one(ChannelPad { before: self.first, after }, &[d_y]))]
    }

    fn flops(&self, _: &NodeIo<'_>) -> u64 {
        0
    }

    fn launch(&self, io: &NodeIo<'_>, _: &Target) -> Launch {
        let shader = Shader::new("channel_slice/forward").constants(&[
            ("X_CHANNELS", n_channels(io.input_shape(0))),
            ("CHANNELS", self.channels),
        ]);
        let bindings = [Binding::Input(0), Binding::Output(0), Binding::size(self.first)];
        Launch::one(shader, &bindings, grid(io.output(0).n_elements()))
    }
}

impl Reference for ChannelSlice {
    fn run<T: Real>(&self, args: Args<'_, T>) {
        let channels = [n_channels(args.io.input_shape(0)), self.channels];
        zip_rows(args.inputs[0].real(), args.outputs[0].real(), channels, |x, y| {
            y.copy_from_slice(&x[self.first..][..self.channels]);
        });
    }
}

/// Padding of channels: `x -> y`. [`channel_pad`](super::channel_pad::channel_pad) records it.
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
        let channels = shape.last_mut().expect("channel_pad: x has no axis; give a shape [..., C]");
        *channels += self.before + self.after;
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
        vec![Some(channel_slice(tape, d_y, self.before, channels))]
    }

    fn flops(&self, _: &NodeIo<'_>) -> u64 {
        0
    }

    fn launch(&self, io: &NodeIo<'_>, _: &Target) -> Launch {
        let shader = Shader::new("channel_pad/forward").constants(&[
            ("X_CHANNELS", n_channels(io.input_shape(0))),
            ("Y_CHANNELS", n_channels(&io.output(0).shape)),
        ]);
        let bindings = [Binding::Input(0), Binding::Output(0), Binding::size(self.before)];
        Launch::one(shader, &bindings, grid(io.output(0).n_elements()))
    }
}

impl Reference for ChannelPad {
    fn run<T: Real>(&self, args: Args<'_, T>) {
        let channels = [args.io.input_shape(0), args.io.output_shape(0)].map(n_channels);
        zip_rows(args.inputs[0].real(), args.outputs[0].real(), channels, |x, y| {
            y.fill(T::ZERO);
            y[self.before..][..x.len()].copy_from_slice(x);
        });
    }
}

/// Calls `copy` for each row of x and the same row of y, in parallel. `channels` are the lengths of a row of x and of a
/// row of y.
pub(super) fn zip_rows<T: Real>(
    x: &[T],
    y: &mut [T],
    channels: [usize; 2],
    copy: impl Fn(&[T], &mut [T]) + Sync,
) {
    let n_rows = CHUNK.div_ceil(channels[0].max(channels[1]));
    for_each_chunk(y, n_rows * channels[1], &|ix, y| {
        let x = chunk(x, ix, n_rows * channels[0]);
        let rows = y.chunks_mut(channels[1]).zip(x.chunks(channels[0]));
        rows.for_each(|(y, x)| copy(x, y));
    });
}

/// The op's name and its test cases.
pub const ENTRY: OpTests = OpTests { stem: "channel_slice", cases };

fn case(shape: &[usize], first: usize, channels: usize) -> Case {
    let name = format!("{shape:?}, channels {first}..{}", first + channels);
    Case::new(name, 1, move |tape, x| vec![channel_slice(tape, x[0], first, channels)]).real(
        "x",
        shape,
        Fill::Normal,
    )
}

fn cases() -> Vec<Case> {
    vec![case(&[2, 4, 5, 7], 1, 3), case(&[7, 6], 0, 1), case(&[7, 3], 0, 3)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::Mode;

    #[test]
    #[should_panic(expected = "channel_slice: channels 2..5 of [2, 3, 4]")]
    fn refuses_channels_that_x_does_not_have() {
        let mut tape = Tape::new("test", Mode::Train);
        let x = tape.input_with_grad("x", &[2, 3, 4]);
        channel_slice(&mut tape, x, 2, 3);
    }

    #[test]
    #[should_panic(expected = "channel_slice: channels 2..2 of [2, 3, 4]")]
    fn refuses_an_empty_range() {
        let mut tape = Tape::new("test", Mode::Train);
        let x = tape.input_with_grad("x", &[2, 3, 4]);
        channel_slice(&mut tape, x, 2, 0);
    }

    #[test]
    #[should_panic(expected = "channel_pad: x has no axis; give a shape [..., C]")]
    fn refuses_to_pad_a_scalar() {
        let mut tape = Tape::new("test", Mode::Train);
        let x = tape.input_with_grad("x", &[]);
        tape.push_one(ChannelPad { before: 1, after: 0 }, &[x]);
    }
}
