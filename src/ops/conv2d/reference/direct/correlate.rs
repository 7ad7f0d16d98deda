//! The forward pass and the gradient of the input.

use std::ops::Range;

use super::ahead::NextRows;
use super::narrow::Narrow;
use super::pairs::NarrowPairs;
use super::row::{Columns, MAX_COLUMNS, PIXELS, Row, Run, run_taps};
use super::source::{PackedRows, RowSize, Source};
use super::wide::Wide;
use super::{Blocks, MAX_ROWS, MAX_RUNS};
use crate::kernel::Real;
use crate::kernel::cpu::lanes::LANES;
use crate::kernel::cpu::prefetch::Ahead;
use crate::kernel::cpu::simd::widest;
use crate::ops::conv2d::ConvGeometry;
use crate::ops::conv2d::correlation::Axis;
use crate::tape::ScratchSize;

/// Largest number of phases along an axis: the largest stride.
const MAX_PHASES: usize = 2;
/// Largest number of channels of the source in one group. With 64 -> 64 channels, the order of these sums brought gradients
/// of an attention module to 1.2e-4 of PyTorch's in f64; 1e-4 is the bound for every block of the family.
const MAX_DENSE: usize = 48;
/// Least number of tasks, if the result has as many rows.
const MIN_TASKS: usize = 8;
/// Largest number of rows of a task. Each task reads the rows between its own rows and its neighbour's once more.
const MAX_TASK_ROWS: usize = 16;

/// A direct convolution, or the gradient of its input.
#[derive(Clone, Copy, Debug)]
pub struct Direct {
    pub(super) g: ConvGeometry,
    pub(super) blocks: Blocks,
    size: RowSize,
    pub(super) is_forward: bool,
    /// True if the kernels read the source in place: that of narrow groups, whose blocks have as many channels as lanes. A
    /// fused pool's gradient is packed.
    is_in_place: bool,
    /// True if a kernel computes both phases of columns: [`NarrowPairs`].
    pub(super) is_paired: bool,
    /// The phases of rows and of columns.
    phases: [[Axis; MAX_PHASES]; 2],
    n_phases: [usize; 2],
}

/// The place of a computation: a block of a row of the result.
struct Place<'a, T> {
    block: usize,
    /// The row of the result.
    result: &'a mut [T],
    /// The memory that the next row needs.
    next: NextRows<'a, T>,
}

impl Direct {
    /// Returns the forward pass; None if matrix products are to compute this shape.
    pub fn forward(g: &ConvGeometry) -> Option<Self> {
        let blocks = Blocks::new(g, g.ci_per_group(), g.co_per_group(), max_narrow(g))?;
        let phases = [0, 1].map(|axis| [Axis::forward(g, axis); MAX_PHASES]);
        Self::new(g, blocks, true, phases, [1, 1])
    }

    /// Returns the gradient of the input; None if matrix products are to compute this shape.
    pub fn d_input(g: &ConvGeometry) -> Option<Self> {
        let blocks = Blocks::new(g, g.co_per_group(), g.ci_per_group(), max_narrow(g))?;
        let phases = [0, 1].map(|axis| [0, 1].map(|first| Axis::d_input(g, axis, first)));
        Self::new(g, blocks, false, phases, g.window.stride)
    }

    fn new(
        g: &ConvGeometry,
        blocks: Blocks,
        is_forward: bool,
        phases: [[Axis; MAX_PHASES]; 2],
        n_phases: [usize; 2],
    ) -> Option<Self> {
        let is_long = g.groups == 1 && blocks.from > MAX_DENSE;
        if is_long || g.window.stride.iter().any(|&stride| stride > MAX_PHASES) {
            return None;
        }
        let [kernel_h, kernel_w] = g.window.size;
        let runs = match blocks.is_narrow {
            true => kernel_h * kernel_w.div_ceil(run_taps(kernel_w, 1)),
            false => kernel_h,
        };
        let fits = blocks.fit_rows(phases[1][0].count) && kernel_h <= MAX_ROWS && runs <= MAX_RUNS;
        let width = if is_forward { g.plane[1] } else { g.out[1] };
        let size = row_size(&phases[1][..n_phases[1]], width);
        let is_in_place = blocks.can_be_in_place() && (is_forward || g.pool == [1, 1]);
        let [even, odd] = phases[1];
        let is_paired = blocks.is_narrow
            && n_phases[1] == 2
            && [even.taps, odd.taps] == [1, 2]
            && even.offset == odd.offset;
        fits.then_some(Self {
            g: *g,
            blocks,
            size,
            is_forward,
            is_in_place,
            is_paired,
            phases,
            n_phases,
        })
    }

    /// Returns `[H, W]` of the result.
    fn plane(&self) -> [usize; 2] {
        if self.is_forward { self.g.out } else { self.g.plane }
    }

    /// Returns the number of elements of a row of the result.
    pub fn row_elements(&self) -> usize {
        self.plane()[1] * self.blocks.n_channels
    }

    /// Returns the number of rows of a task, a multiple of `multiple`; None if there are then too few tasks.
    pub fn task_rows(&self, multiple: usize) -> Option<usize> {
        let n_rows = self.g.n * self.plane()[0];
        let most = n_rows.div_ceil(MIN_TASKS).min(MAX_TASK_ROWS).max(multiple);
        let rows = most / multiple * multiple;
        (multiple == 1 || n_rows.div_ceil(rows) >= MIN_TASKS).then_some(rows)
    }

    /// Returns the scratch memory: the packed weight, and for each thread the packed rows.
    pub fn scratch(&self) -> ScratchSize {
        let (shared, per_thread) = (self.packed_weight(), self.packed_rows());
        ScratchSize { per_thread, ..ScratchSize::shared(shared) }
    }

    /// Returns the number of elements of the packed weight.
    pub(super) fn packed_weight(&self) -> usize {
        self.blocks.count() * self.block_elements()
    }

    pub(super) fn block_elements(&self) -> usize {
        self.g.window.area() * self.blocks.tap()
    }

    /// Returns the number of elements of the packed rows.
    fn packed_rows(&self) -> usize {
        if self.is_in_place {
            // The columns under a tile, for at most a run at each position of the kernel.
            return self.g.window.area() * MAX_COLUMNS * LANES;
        }
        self.g.window.size[0] * self.size.n_elements(&self.blocks) * self.together()
    }

    /// Returns the number of blocks whose rows are packed together. A row of the source is contiguous, but a block of it
    /// is a cache line of each pixel. The packed weights of all narrow groups fit a core's own cache (288 KiB with 32 groups
    /// of 16), and so do those of some blocks of wide groups.
    fn together(&self) -> usize {
        if self.blocks.is_narrow { self.blocks.count() } else { self.blocks.wide_together(4) }
    }

    fn phases(&self, axis: usize) -> &[Axis] {
        &self.phases[axis][..self.n_phases[axis]]
    }

    /// Returns the phases of rows and columns of all pairs.
    pub(super) fn phase_pairs(&self) -> impl Iterator<Item = (&Axis, &Axis)> {
        self.phases(0)
            .iter()
            .flat_map(|rows| self.phases(1).iter().map(move |columns| (rows, columns)))
    }

    /// Computes some rows of the result, from row number `first_row` over all images on. `source` is x for the forward
    /// pass, and d_y for the gradient of the input.
    pub fn rows<T: Real>(
        &self,
        source: Source<'_, T>,
        packed: &[T],
        first_row: usize,
        result: &mut [T],
        scratch: &mut [T],
    ) {
        let scratch = &mut scratch[..self.packed_rows()];
        for first in (0..self.blocks.count()).step_by(self.together()) {
            let together = first..(first + self.together()).min(self.blocks.count());
            let mut rows = PackedRows::new(self.blocks, self.size, together.clone(), scratch);
            let mut rest = &mut *result;
            let mut row = first_row;
            while !rest.is_empty() {
                let (result, after) = rest.split_at_mut(self.row_elements());
                let mut next = self.next_rows(source, &together, row, after);
                for block in together.clone() {
                    let weight = &packed[block * self.block_elements()..][..self.block_elements()];
                    let mut place = Place { block, result, next };
                    self.row(source, weight, row, &mut place, &mut rows);
                    next.done = place.next.done;
                }
                (row, rest) = (row + 1, after);
            }
        }
    }

    /// Returns the memory that the row after `row` needs and `row` does not: channels of the source and of the result, for
    /// some blocks. `after` is the part of the result after `row`.
    fn next_rows<'a, T: Real>(
        &self,
        source: Source<'a, T>,
        blocks: &Range<usize>,
        row: usize,
        after: &'a [T],
    ) -> NextRows<'a, T> {
        // The rows of one group are contiguous, and the processor loads them ahead on its own.
        if self.g.groups == 1 {
            return NextRows::default();
        }
        let phases = if self.is_paired { &self.phases(1)[..1] } else { self.phases(1) };
        let n_parts = phases.iter().map(|columns| self.parts(columns)).sum::<usize>();
        let n_parts = blocks.len() * n_parts;
        let rows = self.source_end(row)..self.source_end(row + 1);
        let source = source.ahead(rows, self.blocks.span(blocks, Blocks::sources), n_parts);
        let result = &after[..after.len().min(self.row_elements())];
        let channels = self.blocks.span(blocks, Blocks::channels);
        let result = Ahead::new(result, self.blocks.n_channels, channels, n_parts);
        NextRows { rows: [source, result], done: 0 }
    }

    /// Returns the number of parts in which the pixels of a phase prefetch.
    fn parts(&self, columns: &Axis) -> usize {
        if self.blocks.is_narrow { columns.count.div_ceil(PIXELS) } else { 1 }
    }

    /// Returns the number of the row after the last one of the source that a row of the result reads. Both numbers are over
    /// all images.
    fn source_end(&self, row: usize) -> usize {
        let source_height = if self.is_forward { self.g.plane[0] } else { self.g.out[0] };
        let (image, row) = (row / self.plane()[0], row % self.plane()[0]);
        let mut phases = self.phases(0).iter();
        let end = phases.find_map(|axis| Some(axis.source_end(axis.number(row)?, source_height)));
        image * source_height + end.expect("a phase has the row")
    }

    /// Computes a row of the result for a block.
    fn row<T: Real>(
        &self,
        source: Source<'_, T>,
        weight: &[T],
        row: usize,
        place: &mut Place<'_, T>,
        packed: &mut PackedRows<'_, T>,
    ) {
        let [height, _] = self.plane();
        let (image, row) = (row / height, row % height);
        let mut phase_start = 0;
        for (rows, columns) in self.phase_pairs() {
            let weight_start = phase_start;
            phase_start += rows.taps * columns.taps * self.blocks.tap();
            let Some(ix) = rows.number(row) else { continue };
            if self.is_paired && columns.first > 0 {
                continue;
            }
            let mut runs = [Run::default(); MAX_RUNS];
            let mut n_runs = 0;
            for tap in 0..rows.taps {
                let Some(at) = rows.source(ix, tap, source.plane[0]) else { continue };
                let (row, left) = match self.is_in_place {
                    true => (source.start(image, at, self.blocks.channels(place.block).start), 0),
                    false => {
                        let row = image * source.plane[0] + at;
                        (packed.pack(source, place.block, row), self.size.left as isize)
                    }
                };
                let weight = tap * columns.taps * self.blocks.tap();
                let run = Run { row, column: left + columns.offset, weight };
                self.add_runs(columns, run, &mut runs, &mut n_runs);
            }
            let (x, padded) = match self.is_in_place {
                // Nothing is packed, so the memory for packed rows is free.
                true => (source.columns(), &mut *packed.values),
                false => {
                    let (step, width) = (self.size.column(&self.blocks), self.size.columns);
                    (Columns { values: &*packed.values, step, width }, &mut [][..])
                }
            };
            let (weight, odd_weight) = weight[weight_start..].split_at(phase_start - weight_start);
            self.pixels(columns, [weight, odd_weight], &runs[..n_runs], place, x, padded);
            place.next.done += self.parts(columns);
        }
    }

    /// Appends the runs under a row of the kernel. `first` is the first of them.
    fn add_runs(&self, columns: &Axis, first: Run, runs: &mut [Run], n_runs: &mut usize) {
        let taps = match self.blocks.is_narrow {
            true => run_taps(columns.taps, columns.stride),
            false => columns.taps.max(1),
        };
        for tap in (0..columns.taps).step_by(taps) {
            let (column, weight) =
                (first.column + tap as isize, first.weight + tap * self.blocks.tap());
            runs[*n_runs] = Run { column, weight, ..first };
            *n_runs += 1;
        }
    }

    /// Computes the pixels of a phase in a row of the result, or of two phases. `weight` is that of the phase, and of the
    /// phases after it.
    fn pixels<T: Real>(
        &self,
        columns: &Axis,
        [weight, odd_weight]: [&[T]; 2],
        runs: &[Run],
        place: &mut Place<'_, T>,
        x: Columns<'_, T>,
        padded: &mut [T],
    ) {
        let channels = self.blocks.channels(place.block);
        let n_channels = channels.len();
        if columns.count == 0 {
            return;
        }
        let y_step = columns.step * self.blocks.n_channels;
        let start = columns.first * self.blocks.n_channels + channels.start;
        let y = &mut place.result[start..];
        if runs.is_empty() {
            let step = if self.is_paired { self.blocks.n_channels } else { y_step };
            y.chunks_mut(step).for_each(|y| y[..n_channels].fill(T::ZERO));
            return;
        }
        let row = Row {
            x,
            weight,
            runs,
            padded,
            run_len: columns.taps * self.blocks.from,
            x_step: columns.stride * self.blocks.from,
            y,
            y_step,
            n_pixels: columns.count,
            n_lanes: self.blocks.size,
            n_channels,
            next: place.next,
        };
        if self.is_paired {
            let n_odd = self.phases(1)[1].count;
            match self.blocks.from {
                1 => widest(NarrowPairs::<T, 1> { row, odd_weight, n_odd }),
                2 => widest(NarrowPairs::<T, 2> { row, odd_weight, n_odd }),
                4 => widest(NarrowPairs::<T, 4> { row, odd_weight, n_odd }),
                8 => widest(NarrowPairs::<T, 8> { row, odd_weight, n_odd }),
                16 => widest(NarrowPairs::<T, 16> { row, odd_weight, n_odd }),
                other => unreachable!("narrow groups of {other} channels"),
            }
            return;
        }
        let taps = run_taps(columns.taps, columns.stride);
        match (self.blocks.is_narrow, self.blocks.from) {
            (false, _) => {
                row.next.prefetch(0);
                widest(Wide(row));
            }
            (true, 1) => narrow::<T, 1>(taps, columns.stride, row),
            (true, 2) => narrow::<T, 2>(taps, columns.stride, row),
            (true, 4) => narrow::<T, 4>(taps, columns.stride, row),
            (true, 8) => narrow::<T, 8>(taps, columns.stride, row),
            (true, 16) => narrow::<T, 16>(taps, columns.stride, row),
            (true, other) => unreachable!("narrow groups of {other} channels"),
        }
    }
}

/// Runs the kernel for this number of taps of a run, and this stride.
fn narrow<T: Real, const G: usize>(taps: usize, stride: usize, row: Row<'_, T>) {
    match (taps, stride) {
        (3, 1) => widest(Narrow::<T, G, 3, 1>(row)),
        (3, _) => widest(Narrow::<T, G, 3, 2>(row)),
        (2, _) => widest(Narrow::<T, G, 2, 1>(row)),
        (_, 1) => widest(Narrow::<T, G, 1, 1>(row)),
        (_, _) => widest(Narrow::<T, G, 1, 2>(row)),
    }
}

/// Returns the largest number of channels of a narrow group. With one or five columns of the kernel, sums of 16 members have
/// too few terms for their shuffles.
fn max_narrow(g: &ConvGeometry) -> usize {
    if g.window.size[1] == 3 { LANES } else { LANES / 2 }
}

/// Returns the size of a packed row for these phases of columns, over a source with `width` columns.
pub(super) fn row_size(phases: &[Axis], width: usize) -> RowSize {
    let left = phases.iter().map(|axis| (-axis.offset).max(0)).max().unwrap_or(0) as usize;
    let columns = phases.iter().map(|axis| {
        let last = axis.count.next_multiple_of(PIXELS) * axis.stride + axis.taps;
        (last + left).saturating_add_signed(axis.offset)
    });
    RowSize { columns: columns.max().unwrap_or(0).max(left + width), left }
}
