//! The gradient of the weight.

use std::ops::Range;

use super::ahead::NextRows;
use super::correlate::row_size;
use super::narrow_weight::NarrowWeight;
use super::row::Columns;
use super::source::{PackedRows, RowSize, Source};
use super::weight_rows::{MAX_PIXEL_COLUMNS, TOGETHER, WeightRows};
use super::wide_weight::WideWeight;
use super::{Blocks, MAX_BLOCK, MAX_ROWS};
use crate::kernel::Real;
use crate::kernel::cpu::lanes::LANES;
use crate::kernel::cpu::parallel::for_each_chunk;
use crate::kernel::cpu::simd::widest;
use crate::ops::conv2d::ConvGeometry;
use crate::ops::conv2d::correlation::Axis;
use crate::tape::{Scratch, ScratchSize};

/// Number of tasks below which the bands are split, if there are as many.
const MIN_TASKS: usize = 24;
/// Least number of pixels whose terms are added before the sums are stored, if [`MAX_ROWS`] rows have as many.
const MIN_PIXELS: usize = 56;
/// Largest number of images whose terms are added one after another.
const MAX_IMAGES: usize = 32;
/// Least number of bands of a split of narrow groups: a split reads the rows of x above and below its own once more.
const MIN_BANDS: usize = 8;
/// Largest number of channels of a narrow group. The sums of 16 members do not fit the registers.
const MAX_NARROW: usize = 8;
/// Largest number of blocks of narrow groups of a task. A block of a row is a cache line of each pixel; several blocks
/// are contiguous.
const MAX_TOGETHER: usize = 16;

/// The gradient of the weight of a direct convolution. A task computes some blocks of channels for some bands, which are
/// rows of d_y whose terms are added before the sums are stored; the sums of all tasks are added afterwards. The division
/// depends on the shape alone.
#[derive(Clone, Copy, Debug)]
pub struct DirectWeight {
    g: ConvGeometry,
    pub(super) blocks: Blocks,
    size: RowSize,
    axes: [Axis; 2],
    /// Number of blocks of a task.
    together: usize,
    /// Number of rows of a band.
    rows: usize,
    bands_per_split: usize,
    /// True if the kernels read x and d_y in place.
    is_in_place: bool,
}

impl DirectWeight {
    /// Returns the gradient of the weight; None if matrix products are to compute this shape.
    pub fn new(g: &ConvGeometry) -> Option<Self> {
        let blocks = Blocks::new(g, g.ci_per_group(), g.co_per_group(), MAX_NARROW)?;
        let axes = [0, 1].map(|axis| Axis::forward(g, axis));
        let fits = blocks.fit_weight(g.out[1])
            && axes[0].taps <= MAX_ROWS
            && axes.iter().all(|axis| axis.stride <= 2);
        let size = row_size(&axes[1..], g.plane[1]);
        let together = match blocks.is_narrow {
            true => blocks.together(MAX_TOGETHER),
            false => blocks.wide_together(4 * LANES / blocks.size),
        };
        let n_groups = blocks.count().div_ceil(together);
        let rows = MIN_PIXELS.div_ceil(g.out[1]).min(MAX_ROWS).min(g.out[0]);
        let bands = g.out[0].div_ceil(rows);
        let least = if blocks.is_narrow { MIN_BANDS } else { bands };
        let n_splits = (MIN_TASKS / n_groups).max(1);
        let bands_per_split = (g.n * bands).div_ceil(n_splits).max(least).min(MAX_IMAGES * bands);
        let is_in_place = blocks.can_be_in_place() && g.pool == [1, 1];
        fits.then_some(Self {
            g: *g,
            blocks,
            size,
            axes,
            together,
            rows,
            bands_per_split,
            is_in_place,
        })
    }

    /// Returns the number of bands of an image.
    fn bands(&self) -> usize {
        self.g.out[0].div_ceil(self.rows)
    }

    /// Returns the number of tasks of a split.
    fn tasks(&self) -> usize {
        self.blocks.count().div_ceil(self.together)
    }

    /// Returns the number of elements of a block's part: `[KH, members, KW, lanes]` of narrow groups, `[KH, KW, from,
    /// lanes]` of wide ones.
    fn block_elements(&self) -> usize {
        self.g.window.area() * self.blocks.tap()
    }

    fn n_splits(&self) -> usize {
        (self.g.n * self.bands()).div_ceil(self.bands_per_split)
    }

    /// Returns the scratch memory: all partial sums, and for each thread the packed rows.
    pub fn scratch(&self) -> ScratchSize {
        let per_thread = self.packed_rows();
        ScratchSize { per_thread, ..ScratchSize::shared(self.partial_elements()) }
    }

    /// Returns the number of elements of a task's partial sums.
    fn task_elements(&self) -> usize {
        self.together * self.block_elements()
    }

    /// Returns the number of elements of all partial sums. The last task of a split may leave some unused.
    fn partial_elements(&self) -> usize {
        self.n_splits() * self.tasks() * self.task_elements()
    }

    /// Returns the number of elements of a packed band of d_y, for one block.
    fn d_y_elements(&self) -> usize {
        self.rows * self.axes[1].count * self.blocks.size
    }

    /// Returns the number of elements of the packed rows of x and d_y.
    fn packed_rows(&self) -> usize {
        if self.is_in_place {
            return MAX_PIXEL_COLUMNS * LANES;
        }
        let rows = (self.rows - 1) * self.axes[0].stride + self.axes[0].taps;
        self.together * (rows * self.size.n_elements(&self.blocks) + self.d_y_elements())
    }

    /// Computes the partial sums of a task: some blocks of split `task / tasks`.
    fn partial<T: Real>(
        &self,
        x: Source<'_, T>,
        d_y: Source<'_, T>,
        task: usize,
        partial: &mut [T],
        scratch: &mut [T],
    ) {
        let g = &self.g;
        let (split, first_block) = (task / self.tasks(), task % self.tasks() * self.together);
        let blocks = first_block..(first_block + self.together).min(self.blocks.count());
        let scratch = &mut scratch[..self.packed_rows()];
        let n_d_y = if self.is_in_place { 0 } else { self.together * self.d_y_elements() };
        let (d_y_rows, scratch) = scratch.split_at_mut(n_d_y);
        let mut packed = PackedRows::new(self.blocks, self.size, blocks.clone(), scratch);
        partial.fill(T::ZERO);
        let first_band = split * self.bands_per_split;
        for band in first_band..(first_band + self.bands_per_split).min(g.n * self.bands()) {
            let (image, first) = (band / self.bands(), band % self.bands() * self.rows);
            let n_rows = self.rows.min(g.out[0] - first);
            let mut next = self.next_rows(x, d_y, band, &blocks);
            if !self.is_in_place {
                self.pack_d_y(d_y, image * g.out[0] + first, n_rows, blocks.clone(), d_y_rows);
            }
            for (ix, partial) in partial.chunks_exact_mut(self.block_elements()).enumerate() {
                let Some(block) = blocks.clone().nth(ix) else { break };
                let channel = self.blocks.channels(block).start;
                for tap in 0..self.axes[0].taps {
                    let mut rows = [[0; 2]; MAX_ROWS];
                    let mut n = 0;
                    for row in 0..n_rows {
                        let source_row = self.axes[0].source(first + row, tap, g.plane[0]);
                        let Some(at) = source_row else { continue };
                        rows[n] = match self.is_in_place {
                            true => [
                                x.start(image, at, channel),
                                d_y.start(image, first + row, channel),
                            ],
                            false => [
                                packed.pack(x, block, image * g.plane[0] + at),
                                ix * self.d_y_elements() + row * g.out[1] * self.blocks.size,
                            ],
                        };
                        n += 1;
                    }
                    let len = self.axes[1].taps * self.blocks.tap();
                    let d_weight = &mut partial[tap * len..][..len];
                    let operands = match self.is_in_place {
                        true => Operands {
                            x: x.columns(),
                            d_y: d_y.columns().values,
                            d_y_step: g.co,
                            column: self.axes[1].offset,
                            // Nothing is packed, so the memory for packed rows is free.
                            padded: &mut *packed.values,
                        },
                        false => Operands {
                            x: Columns {
                                values: &*packed.values,
                                step: self.size.column(&self.blocks),
                                width: self.size.columns,
                            },
                            d_y: &*d_y_rows,
                            d_y_step: self.blocks.size,
                            column: 0,
                            padded: &mut [],
                        },
                    };
                    self.add_rows(operands, &rows[..n], d_weight, next);
                    next.done += self.parts();
                }
            }
        }
    }

    /// Returns the number of parts in which a block prefetches under a row of the kernel.
    fn parts(&self) -> usize {
        match self.blocks.is_narrow {
            true => self.rows * self.axes[1].count.div_ceil(TOGETHER),
            false => 1,
        }
    }

    /// Returns the rows of x and d_y that the next band reads and this one does not, for some blocks. With one group, they
    /// bring a stem whose numbers are in memory from 177 to 198 GFLOP/s on a thread.
    fn next_rows<'a, T: Real>(
        &self,
        x: Source<'a, T>,
        d_y: Source<'a, T>,
        band: usize,
        blocks: &Range<usize>,
    ) -> NextRows<'a, T> {
        let (g, rows) = (&self.g, &self.axes[0]);
        let n_parts = blocks.len() * rows.taps * self.parts();
        // The ends of a band in d_y and x, over all images.
        let ends = |band: usize| {
            let (image, end) = (band / self.bands(), (band % self.bands() + 1) * self.rows);
            let end = end.min(g.out[0]);
            let x_end = rows.source_end(end - 1, g.plane[0]);
            [image * g.out[0] + end, image * g.plane[0] + x_end]
        };
        let ([d_y_start, x_start], [d_y_end, x_end]) = (ends(band), ends(band + 1));
        let sources = self.blocks.span(blocks, Blocks::sources);
        let channels = self.blocks.span(blocks, Blocks::channels);
        let x = x.ahead(x_start..x_end, sources, n_parts);
        let d_y = d_y.ahead(d_y_start..d_y_end, channels, n_parts);
        NextRows { rows: [x, d_y], done: 0 }
    }

    /// Copies some rows of d_y, from number `first` over all images on, as `[blocks, rows, pixels, lanes]`. The lanes after
    /// the last channel are 0.
    fn pack_d_y<T: Real>(
        &self,
        d_y: Source<'_, T>,
        first: usize,
        n_rows: usize,
        blocks: Range<usize>,
        packed: &mut [T],
    ) {
        let (size, row_len) = (self.blocks.size, self.g.out[1] * self.blocks.size);
        for row in 0..n_rows {
            let of_blocks = packed.chunks_exact_mut(self.d_y_elements());
            for (block, packed) in blocks.clone().zip(of_blocks) {
                let packed = &mut packed[row * row_len..][..row_len];
                d_y.copy_row(first + row, self.blocks.channels(block), size, packed);
            }
        }
    }

    /// Adds the part of some rows of d_y and, for each of them, a row of x.
    fn add_rows<T: Real>(
        &self,
        operands: Operands<'_, T>,
        rows: &[[usize; 2]],
        d_weight: &mut [T],
        mut next: NextRows<'_, T>,
    ) {
        let (blocks, columns) = (&self.blocks, &self.axes[1]);
        // Narrow groups add the terms of some neighbouring columns of the kernel.
        let n_taps = if blocks.is_narrow && columns.taps != 3 { 1 } else { columns.taps };
        let Operands { x, d_y, d_y_step, column, padded } = operands;
        for tap in (0..columns.taps).step_by(n_taps) {
            let rows = WeightRows {
                x,
                d_y,
                d_y_step,
                rows,
                column: column + tap as isize,
                padded: &mut *padded,
                n_pixels: columns.count,
                n_channels: blocks.size,
                x_step: columns.stride * blocks.from,
                run_len: columns.taps * blocks.from,
                d_weight: &mut d_weight[tap * blocks.size..],
                d_weight_plane: columns.taps * blocks.size,
                next,
            };
            next = NextRows::default();
            match (blocks.is_narrow, blocks.from) {
                (false, _) => {
                    rows.next.prefetch(0);
                    widest(WideWeight(rows));
                }
                (true, 1) => add_narrow::<T, 1>([n_taps, columns.stride], rows),
                (true, 2) => add_narrow::<T, 2>([n_taps, columns.stride], rows),
                (true, 4) => add_narrow::<T, 4>([n_taps, columns.stride], rows),
                (true, 8) => add_narrow::<T, 8>([n_taps, columns.stride], rows),
                (true, other) => unreachable!("narrow groups of {other} channels"),
            }
        }
    }

    /// Adds the partial sums of all splits, in their order, for a position of the kernel: `[Ci/groups, Co]`.
    fn sum_partials<T: Real>(&self, partials: &[T], position: usize, d_weight: &mut [T]) {
        let (g, blocks) = (&self.g, &self.blocks);
        let (ky, kx) = (position / g.window.size[1], position % g.window.size[1]);
        let split = self.tasks() * self.task_elements();
        let mut sums = [T::ZERO; MAX_BLOCK];
        let sums = &mut sums[..blocks.size];
        for block in 0..blocks.count() {
            let channels = blocks.channels(block);
            for member in 0..blocks.from {
                let within = match blocks.is_narrow {
                    true => (ky * blocks.from + member) * g.window.size[1] + kx,
                    false => position * blocks.from + member,
                };
                let start = block * self.block_elements() + within * blocks.size;
                sums.copy_from_slice(&partials[start..][..blocks.size]);
                for split_ix in 1..self.n_splits() {
                    let partial = &partials[split_ix * split + start..][..blocks.size];
                    sums.iter_mut().zip(partial).for_each(|(sum, &p)| *sum += p);
                }
                if !blocks.is_narrow {
                    let d_weight = &mut d_weight[member * g.co..][channels.clone()];
                    d_weight.copy_from_slice(&sums[..channels.len()]);
                    continue;
                }
                // Lane l of member m is the weight from channel l to channel `l ^ m`.
                for (lane, &sum) in sums.iter().enumerate().take(channels.len()) {
                    let to = channels.start + (lane ^ member);
                    d_weight[lane % blocks.from * g.co + to] = sum;
                }
            }
        }
    }

    /// Computes the gradient.
    pub fn run<T: Real>(
        &self,
        x: Source<'_, T>,
        d_y: Source<'_, T>,
        d_weight: &mut [T],
        scratch: Scratch<'_, T>,
    ) {
        let threads = scratch.threads;
        let partials = &mut scratch.shared[..self.partial_elements()];
        for_each_chunk(partials, self.task_elements(), &|task, partial| {
            threads.with(|scratch| self.partial(x, d_y, task, partial, scratch));
        });
        let partials = &*partials;
        for_each_chunk(d_weight, self.blocks.from * self.g.co, &|position, d_weight| {
            self.sum_partials(partials, position, d_weight);
        });
    }
}

/// The operands of the gradient of the weight, with the names of [`WeightRows`].
struct Operands<'a, T> {
    x: Columns<'a, T>,
    d_y: &'a [T],
    d_y_step: usize,
    column: isize,
    padded: &'a mut [T],
}

/// Runs the kernel for this number of taps, and this stride.
fn add_narrow<T: Real, const G: usize>(sizes: [usize; 2], rows: WeightRows<'_, T>) {
    match sizes {
        [3, 1] => widest(NarrowWeight::<T, G, 3, 1>(rows)),
        [3, _] => widest(NarrowWeight::<T, G, 3, 2>(rows)),
        [_, 1] => widest(NarrowWeight::<T, G, 1, 1>(rows)),
        [..] => widest(NarrowWeight::<T, G, 1, 2>(rows)),
    }
}
