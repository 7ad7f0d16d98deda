//! The gradient of the weight.

use super::correlate::row_size;
use super::source::{PackedRows, RowSize, Source};
use super::tile::{NarrowWeight, WeightRow, WideWeight};
use super::{Blocks, MAX_ROWS};
use crate::kernel::Real;
use crate::kernel::cpu::parallel::for_each_chunk;
use crate::kernel::cpu::simd::widest;
use crate::ops::conv2d::ConvGeometry;
use crate::ops::conv2d::correlation::Axis;

/// Least number of tasks, if there are as many images and blocks.
const MIN_TASKS: usize = 24;
/// Largest number of images whose terms are added one after another.
const MAX_IMAGES: usize = 32;

/// The gradient of the weight of a direct convolution. A task computes one block of channels for some images; the sums
/// of all tasks are added afterwards. The division depends on the shape alone.
#[derive(Clone, Copy, Debug)]
pub struct DirectWeight {
    g: ConvGeometry,
    blocks: Blocks,
    size: RowSize,
    axes: [Axis; 2],
    images_per_split: usize,
}

impl DirectWeight {
    /// Returns the gradient of the weight; None if matrix products are to compute this shape.
    pub fn new(g: &ConvGeometry) -> Option<Self> {
        let blocks = Blocks::new(g.groups, g.ci_per_group(), g.co_per_group())?;
        let axes = [0, 1].map(|axis| Axis::forward(g, axis));
        let n_splits = MIN_TASKS.div_ceil(blocks.count());
        let images_per_split = g.n.div_ceil(n_splits).min(MAX_IMAGES);
        let is_small = axes[0].taps <= MAX_ROWS && axes[1].stride <= 2 && g.pool == [1, 1];
        let size = row_size(&axes[1..], g.plane[1]);
        is_small.then_some(Self { g: *g, blocks, size, axes, images_per_split })
    }

    /// Returns the number of elements of a block's part: `[KH, planes, KW, lanes]` of narrow groups, `[KH, KW, from,
    /// lanes]` of wide ones.
    fn block_elements(&self) -> usize {
        self.g.window.area() * self.blocks.tap()
    }

    fn n_splits(&self) -> usize {
        self.g.n.div_ceil(self.images_per_split)
    }

    /// Returns the number of elements of all partial sums.
    pub fn partial_elements(&self) -> usize {
        self.n_splits() * self.blocks.count() * self.block_elements()
    }

    fn d_y_elements(&self) -> usize {
        self.axes[1].count * self.blocks.size
    }

    /// Returns the number of elements of the scratch memory of a thread.
    pub fn thread_scratch(&self) -> usize {
        self.axes[0].taps * self.size.n_elements(&self.blocks) + self.d_y_elements()
    }

    /// Computes the partial sums of a task: block `task mod blocks` of split `task / blocks`.
    pub fn partial<T: Real>(
        &self,
        x: &[T],
        d_y: &[T],
        task: usize,
        partial: &mut [T],
        scratch: &mut [T],
    ) {
        let g = &self.g;
        let (split, block) = (task / self.blocks.count(), task % self.blocks.count());
        let source = Source { values: x, plane: g.plane, n_channels: g.ci };
        let (d_y_row, scratch) = scratch[..self.thread_scratch()].split_at_mut(self.d_y_elements());
        let mut rows = PackedRows::new(self.blocks, self.size, scratch);
        partial.fill(T::ZERO);
        let first = split * self.images_per_split;
        for image in first..(first + self.images_per_split).min(g.n) {
            for oy in 0..g.out[0] {
                let start = (image * g.out[0] + oy) * g.out[1] * g.co;
                self.pack_d_y(block, &d_y[start..][..g.out[1] * g.co], d_y_row);
                for tap in 0..self.axes[0].taps {
                    let Some(at) = self.axes[0].source(oy, tap, g.plane[0]) else { continue };
                    let start = rows.pack(source, block, image * g.plane[0] + at);
                    let len = self.axes[1].taps * self.blocks.tap();
                    self.add_row(&rows.values[start..], d_y_row, &mut partial[tap * len..][..len]);
                }
            }
        }
    }

    /// Copies a block's channels of a row of d_y. The lanes after the last channel are 0.
    fn pack_d_y<T: Real>(&self, block: usize, d_y: &[T], packed: &mut [T]) {
        let channels = self.blocks.channels(block);
        let pixels = packed.chunks_exact_mut(self.blocks.size).zip(d_y.chunks_exact(self.g.co));
        for (packed, d_y) in pixels {
            let (inside, right) = packed.split_at_mut(channels.len());
            inside.copy_from_slice(&d_y[channels.clone()]);
            right.fill(T::ZERO);
        }
    }

    /// Adds the part of a row of d_y and a packed row of x.
    fn add_row<T: Real>(&self, x: &[T], d_y: &[T], d_weight: &mut [T]) {
        let (blocks, columns) = (&self.blocks, &self.axes[1]);
        let n_lanes = blocks.size;
        let row = |plane: usize, tap: usize| {
            let x = &x[(plane * self.size.columns + tap) * self.size.column(blocks)..];
            let start = (plane * columns.taps + tap) * n_lanes;
            (x, start)
        };
        if !blocks.is_narrow {
            return widest(WideWeight(WeightRow {
                x,
                x_plane: 0,
                x_step: columns.stride * blocks.from,
                d_y,
                d_weight,
                d_weight_plane: 0,
                run_len: columns.taps * blocks.from,
                n_pixels: columns.count,
                n_channels: n_lanes,
            }));
        }
        let n_planes = blocks.from.min(4);
        let n_taps = if columns.taps == 3 { 3 } else { 1 };
        for plane in (0..blocks.from).step_by(n_planes) {
            for tap in (0..columns.taps).step_by(n_taps) {
                let (x, start) = row(plane, tap);
                let row = WeightRow {
                    x,
                    x_plane: self.size.columns * n_lanes,
                    x_step: columns.stride * n_lanes,
                    d_y,
                    d_weight: &mut d_weight[start..],
                    d_weight_plane: columns.taps * n_lanes,
                    run_len: 0,
                    n_pixels: columns.count,
                    n_channels: n_lanes,
                };
                add_narrow([n_planes, n_taps, columns.stride], row);
            }
        }
    }

    /// Adds the partial sums of all splits, in their order, for some rows of the gradient `[KH, KW, Ci/groups, Co]`.
    pub fn sum_partials<T: Real>(&self, partials: &[T], first_row: usize, d_weight: &mut [T]) {
        let (g, blocks) = (&self.g, &self.blocks);
        let [_, kernel_w] = g.window.size;
        let split = blocks.count() * self.block_elements();
        for (ix, d_weight) in d_weight.chunks_exact_mut(g.co).enumerate() {
            let row = first_row + ix;
            let (ky, kx, from) =
                (row / blocks.from / kernel_w, row / blocks.from % kernel_w, row % blocks.from);
            let within = match blocks.is_narrow {
                true => (ky * blocks.from + from) * kernel_w + kx,
                false => (ky * kernel_w + kx) * blocks.from + from,
            };
            for (block, d_weight) in d_weight.chunks_mut(blocks.size).enumerate() {
                let start = block * self.block_elements() + within * blocks.size;
                d_weight.copy_from_slice(&partials[start..][..d_weight.len()]);
                for split_ix in 1..self.n_splits() {
                    let partial = &partials[split_ix * split + start..][..d_weight.len()];
                    d_weight.iter_mut().zip(partial).for_each(|(sum, &p)| *sum += p);
                }
            }
        }
    }

    /// Computes the gradient.
    pub fn run<T: Real>(
        &self,
        x: &[T],
        d_y: &[T],
        d_weight: &mut [T],
        scratch: crate::tape::Scratch<'_, T>,
    ) {
        let threads = scratch.threads;
        let partials = &mut scratch.shared[..self.partial_elements()];
        for_each_chunk(partials, self.block_elements(), &|task, partial| {
            threads.with(|scratch| self.partial(x, d_y, task, partial, scratch));
        });
        let partials = &*partials;
        /// Number of rows of a task that adds partial sums.
        const ROWS: usize = 16;
        for_each_chunk(d_weight, ROWS * self.g.co, &|task, d_weight| {
            self.sum_partials(partials, task * ROWS, d_weight);
        });
    }
}

/// Runs the kernel for these numbers of planes and taps, and this stride.
fn add_narrow<T: Real>(sizes: [usize; 3], row: WeightRow<'_, T>) {
    match sizes {
        [1, 3, 1] => widest(NarrowWeight::<T, 1, 3, 1>(row)),
        [2, 3, 1] => widest(NarrowWeight::<T, 2, 3, 1>(row)),
        [4, 3, 1] => widest(NarrowWeight::<T, 4, 3, 1>(row)),
        [1, 3, 2] => widest(NarrowWeight::<T, 1, 3, 2>(row)),
        [2, 3, 2] => widest(NarrowWeight::<T, 2, 3, 2>(row)),
        [4, 3, 2] => widest(NarrowWeight::<T, 4, 3, 2>(row)),
        [1, 1, 1] => widest(NarrowWeight::<T, 1, 1, 1>(row)),
        [2, 1, 1] => widest(NarrowWeight::<T, 2, 1, 1>(row)),
        [4, 1, 1] => widest(NarrowWeight::<T, 4, 1, 1>(row)),
        [1, 1, 2] => widest(NarrowWeight::<T, 1, 1, 2>(row)),
        [2, 1, 2] => widest(NarrowWeight::<T, 2, 1, 2>(row)),
        [4, 1, 2] => widest(NarrowWeight::<T, 4, 1, 2>(row)),
        _ => unreachable!("planes, taps and stride {sizes:?}"),
    }
}
