//! The sum over all axes but the last: the gradient of a bias.
//!
//! `y[c] = Σ rows x[row, c]`, with x `[..., C]` and y `[C]`.
//!
//! Shaders: `shaders/channel_sum/`. Derivation: `docs/ops/channel_sum.md`.

use super::partitions::{Partitions, n_partials, sum_rows};
use super::{Case, OpTests, case::Fill, n_channels, n_rows};
use crate::kernel::{Binding, Launch, Real, Shader, Target, grid};
use crate::tape::{Args, NodeIo, Op, OutputSpec, Reference, ScratchSize, Tape, Value, ValueId};

/// Records the sum over all axes but the last.
pub fn channel_sum(tape: &mut Tape, x: ValueId) -> ValueId {
    tape.push_one(ChannelSum, &[x])
}

/// The sum over rows: `x -> y`.
#[derive(Clone, Copy, Debug)]
pub struct ChannelSum;

impl Op for ChannelSum {
    fn name(&self) -> &'static str {
        "channel_sum.forward"
    }

    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec> {
        vec![OutputSpec::real("channel_sum", &[n_channels(&inputs[0].shape)])]
    }

    fn flops(&self, io: &NodeIo<'_>) -> u64 {
        io.input(0).n_elements() as u64
    }

    fn launch(&self, io: &NodeIo<'_>, _: &Target) -> Launch {
        let (rows, channels) = (n_rows(io.input_shape(0)), n_channels(io.input_shape(0)));
        let partitions = Partitions::of_sum(rows);
        let n_partials = partitions.count() * channels;
        let first = Shader::new("channel_sum/partials").constants(&[
            ("ROWS", rows),
            ("CHANNELS", channels),
            ("ROWS_PER_PARTITION", partitions.rows_each),
            ("N_PARTITIONS", partitions.count()),
        ]);
        let second = Shader::new("shared/sum_partials");
        let n_splits = Binding::size(partitions.count());
        Launch::default()
            .with_scratch(n_partials)
            .then(first, &[Binding::Input(0), Binding::Scratch(0)], grid(n_partials))
            .then(second, &[Binding::Scratch(0), Binding::Output(0), n_splits], grid(channels))
    }
}

impl Reference for ChannelSum {
    fn scratch(&self, io: &NodeIo<'_>) -> ScratchSize {
        ScratchSize::shared(n_partials(n_rows(io.input_shape(0)), n_channels(io.input_shape(0))))
    }

    fn run<T: Real>(&self, args: Args<'_, T>) {
        let x = args.inputs[0].real();
        let y = args.outputs[0].real();
        let channels = y.len();
        sum_rows(x.len() / channels, y, args.scratch.shared, &|rows, sums| {
            let x = &x[rows.start * channels..rows.end * channels];
            for row in x.chunks(channels) {
                sums.iter_mut().zip(row).for_each(|(sum, &x)| *sum += x);
            }
        });
    }
}

/// The op's name and its test cases.
pub const ENTRY: OpTests = OpTests { stem: "channel_sum", cases };

fn case(shape: &[usize]) -> Case {
    // Only backward passes record this op, so tests do not differentiate it.
    Case::new(format!("{shape:?}"), n_rows(shape), |tape, x| vec![channel_sum(tape, x[0])]).fixed(
        "x",
        shape,
        crate::tape::ElementType::F32,
        Fill::Around(1.0),
    )
}

fn cases() -> Vec<Case> {
    vec![case(&[3, 5, 7, 6]), case(&[65, 3]), case(&[1, 9])]
}
