//! The sum over all axes but the last: the gradient of a bias.
//!
//! `y[c] = Σ rows x[row, c]`, with x `[..., C]` and y `[C]`.
//!
//! Shaders: `shaders/channel_sum/`. Derivation: `docs/ops/channel_sum.md`.

use std::ops::Range;

use rayon::prelude::*;

use super::{Case, OpEntry, case::Fill, n_channels, n_rows};
use crate::kernel::{Binding, Launch, Real, Shader, Target, grid};
use crate::tape::{Args, NodeIo, Op, OutputSpec, Reference, ScratchSize, Tape, Value, ValueId};

/// Records the sum over all axes but the last.
pub fn channel_sum(tape: &mut Tape, x: ValueId) -> ValueId {
    tape.push_one(ChannelSum, &[x])
}

/// `x -> y`
#[derive(Clone, Copy, Debug)]
pub struct ChannelSum;

/// Returns (number of slabs, rows per slab) of a long sum over rows. Both are functions of the number of rows
/// alone, so the order of the sum is fixed. At most 1,024 slabs, enough to read at a GPU's full bandwidth, of
/// at least 64 rows.
pub(crate) fn slabs(n_rows: usize) -> (usize, usize) {
    let rows_per_slab = n_rows.div_ceil(1024).max(64);
    (n_rows.div_ceil(rows_per_slab), rows_per_slab)
}

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
        let (n_slabs, rows_per_slab) = slabs(rows);
        let first = Shader::new("channel_sum/slabs").constants(&[
            ("ROWS", rows),
            ("CHANNELS", channels),
            ("ROWS_PER_SLAB", rows_per_slab),
            ("N_SLABS", n_slabs),
        ]);
        let second = Shader::new("shared/sum_partials").constant("N_PARTIALS", n_slabs);
        Launch::default()
            .with_scratch(n_slabs * channels)
            .then(first, &[Binding::Input(0), Binding::Scratch(0)], grid(n_slabs * channels))
            .then(second, &[Binding::Scratch(0), Binding::Output(0)], grid(channels))
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
        sum_rows(x.len() / channels, y, args.scratch.shared, |rows, sums| {
            let x = &x[rows.start * channels..rows.end * channels];
            for row in x.chunks(channels) {
                sums.iter_mut().zip(row).for_each(|(sum, &x)| *sum += x);
            }
        });
    }
}

/// Returns the length of `partials` that [`sum_rows`] needs.
pub(crate) fn n_partials(n_rows: usize, n_sums: usize) -> usize {
    slabs(n_rows).0 * n_sums
}

/// Sums over rows: first each slab, in parallel on the thread pool, then the slabs in order. `add` adds the
/// terms of a range of rows to `totals.len()` sums. `partials` holds the sums of the slabs.
pub(crate) fn sum_rows<T: Real>(
    n_rows: usize,
    totals: &mut [T],
    partials: &mut [T],
    add: impl Fn(Range<usize>, &mut [T]) + Sync,
) {
    let (_, rows_per_slab) = slabs(n_rows);
    let partials = &mut partials[..n_partials(n_rows, totals.len())];
    partials.par_chunks_mut(totals.len()).enumerate().for_each(|(slab, sums)| {
        sums.fill(T::ZERO);
        let first = slab * rows_per_slab;
        add(first..(first + rows_per_slab).min(n_rows), sums);
    });
    totals.fill(T::ZERO);
    for partial in partials.chunks(totals.len()) {
        totals.iter_mut().zip(partial).for_each(|(total, &p)| *total += p);
    }
}

/// The cases of tests and benches.
pub const ENTRY: OpEntry = OpEntry { stem: "channel_sum", cases, bench_cases };

fn case(shape: &[usize]) -> Case {
    // The op occurs only at the end of a gradient, so its input needs no gradient.
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

fn bench_cases(width: usize, batch: usize) -> Vec<Case> {
    vec![case(&[batch, 32, 32, width])]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slabs_cover_all_rows() {
        for n_rows in [1, 63, 64, 65, 65_536, 65_537, 524_288] {
            let (n_slabs, rows_per_slab) = slabs(n_rows);
            assert!(n_slabs <= 1024 && n_slabs * rows_per_slab >= n_rows);
            assert!((n_slabs - 1) * rows_per_slab < n_rows);
        }
    }
}
