//! im2col: the patches of the source under the kernel become the rows of a matrix, and the convolution becomes a matrix
//! product.
//!
//! Row `p` of the matrix is the patch of pixel `p` of the result (over all images, in the order `(n, row, column)`).
//! Column `(row of the kernel, column of the kernel, channel)` is one tap and one channel of the source. Then
//! `y = patches · weight`, `d_weight = patchesᵀ · d_y`, and, with patches of d_y, `d_x = patches · weightᵀ`. Memory holds
//! one block of rows at a time, small enough for the cache. A convolution with a 1x1 kernel and stride 1 needs no copy:
//! its source is the matrix of patches.

use std::ops::Range;

use super::ConvGeometry;
use super::correlation::Axis;
use crate::kernel::Real;
use crate::kernel::cpu::lanes::{LANES, lanes, rest, store, whole};
use crate::kernel::cpu::matmul::Matrix;

/// Number of elements of a block, unless a limit on its rows applies: 256 KiB of f32, which fit a core's own cache.
const BLOCK_ELEMENTS: usize = 1 << 16;
/// Least number of rows of a block, even if the rows are long. The matrix product packs the weights once per block, and
/// many rows share that cost.
const MIN_ROWS: usize = 512;
/// Largest number of rows of a block, even if the rows are short.
const MAX_ROWS: usize = 1024;
/// Least number of blocks, for several threads. To reach this number, a block may have fewer than [`MIN_ROWS`] rows,
/// but not fewer than [`FEW_ROWS`].
const MIN_BLOCKS: usize = 4;
/// Least number of rows of a block, even if there are then fewer than [`MIN_BLOCKS`] blocks: a plane of 7x7 pixels.
const FEW_ROWS: usize = 49;

/// Returns the number of images of a task that computes whole images. Several images of small planes together give a
/// product of many rows.
pub(super) fn images_per_block(geometry: &ConvGeometry) -> usize {
    let rows = Patches::forward(geometry).block_rows();
    (rows / (geometry.out[0] * geometry.out[1])).clamp(1, geometry.n)
}

/// The matrix of patches.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patches {
    /// Number of images.
    n: usize,
    /// `[H, W]` of the source.
    plane: [usize; 2],
    /// Number of channels of the source.
    n_channels: usize,
    /// Number of channels of the source in a group.
    channels_per_group: usize,
    /// Rows and columns of the result.
    pub axes: [Axis; 2],
}

/// A block of the matrix of patches.
#[derive(Clone)]
pub(super) struct PatchBlock {
    /// The rows of the block: pixels of the result.
    pub pixels: Range<usize>,
    /// The columns of the block: taps, `row of the kernel · columns of the kernel + column of the kernel`.
    pub taps: Range<usize>,
    /// The group of channels.
    pub group: usize,
}

impl Patches {
    /// Returns the patches of x, for the forward pass and the gradient of the weight.
    pub fn forward(g: &ConvGeometry) -> Self {
        let axes = [Axis::forward(g, 0), Axis::forward(g, 1)];
        let channels_per_group = g.ci_per_group();
        Self { n: g.n, plane: g.plane, n_channels: g.ci, channels_per_group, axes }
    }

    /// Returns the patches of d_y for a phase of the gradient of the input.
    pub fn d_input(g: &ConvGeometry, axes: [Axis; 2]) -> Self {
        let channels_per_group = g.co_per_group();
        Self { n: g.n, plane: g.out, n_channels: g.co, channels_per_group, axes }
    }

    /// Returns the patches of every phase of the gradient of the input.
    pub fn phases(g: &ConvGeometry) -> impl Iterator<Item = Self> {
        let [rows, columns] = g.window.stride;
        (0..rows).flat_map(move |row| (0..columns).map(move |column| [row, column])).map(|first| {
            let axes = [0, 1].map(|axis| Axis::d_input(g, axis, first[axis]));
            Self::d_input(g, axes)
        })
    }

    /// Returns the number of taps.
    pub fn n_taps(&self) -> usize {
        self.axes[0].taps * self.axes[1].taps
    }

    /// Returns the number of columns of the matrix for one group: taps times channels of the source.
    pub fn n_columns(&self) -> usize {
        self.n_taps() * self.channels_per_group
    }

    /// Returns the number of rows of the matrix in an image.
    pub fn rows_per_image(&self) -> usize {
        self.axes[0].count * self.axes[1].count
    }

    /// Returns the number of rows of a block. The number depends on the shape alone, because the order of sums depends
    /// on it.
    pub fn block_rows(&self) -> usize {
        let rows = (BLOCK_ELEMENTS / self.n_columns().max(1)).clamp(MIN_ROWS, MAX_ROWS);
        let n_rows = self.n * self.rows_per_image();
        // Blocks of the same size keep all threads busy to the end.
        rows.min(n_rows.div_ceil((n_rows / FEW_ROWS).clamp(1, MIN_BLOCKS))).max(1)
    }

    /// Returns true if the matrix is the source itself.
    pub fn is_source(&self) -> bool {
        [0, 1].iter().all(|&axis| {
            let Axis { count, taps, stride, offset, .. } = self.axes[axis];
            (count, taps, stride, offset) == (self.plane[axis], 1, 1, 0)
        })
    }

    /// Returns the number of elements of the buffer for a block of `rows` rows.
    pub fn buffer(&self, rows: usize, taps: usize) -> usize {
        if self.is_source() { 0 } else { rows * taps * self.channels_per_group }
    }

    /// Returns a block of the matrix, row-major: a part of the source, or a copy in `buffer`.
    pub fn matrix<'a, T: Real>(
        &self,
        source: &'a [T],
        block: PatchBlock,
        buffer: &'a mut [T],
    ) -> Matrix<'a, T> {
        if self.is_source() {
            let start =
                block.pixels.start * self.n_channels + block.group * self.channels_per_group;
            return Matrix::strided(&source[start..], self.n_channels);
        }
        let n_columns = block.taps.len() * self.channels_per_group;
        self.each_run(block, |run, from| match from {
            Some(start) => copy(&source[start..start + run.len()], &mut buffer[run]),
            None => buffer[run].fill(T::ZERO),
        });
        Matrix::rows(buffer, n_columns)
    }

    /// Calls `visit` for each run of a block: elements that are contiguous in the source, or that are all padding. The
    /// arguments are the run's range in the block, and the index of its first element in the source, or `None` for
    /// padding. If there is only one group, all channels under one row of the kernel are one run.
    #[inline]
    fn each_run(&self, block: PatchBlock, mut visit: impl FnMut(Range<usize>, Option<usize>)) {
        let [rows, columns] = &self.axes;
        let ([h, w], channels) = (self.plane, self.channels_per_group);
        let PatchBlock { pixels, taps, group } = block;
        let run = if channels == self.n_channels { columns.taps } else { 1 };
        let mut at = 0;
        let mut visit_run = |n_taps: usize, source: Option<usize>| {
            if n_taps > 0 {
                visit(at..at + n_taps * channels, source);
                at += n_taps * channels;
            }
        };
        for pixel in pixels {
            let (n, row, column) = (
                pixel / (rows.count * columns.count),
                pixel / columns.count % rows.count,
                pixel % columns.count,
            );
            // The column of the source under a tap is left + tap. The taps inside the source are those in `inside`.
            let left = (column * columns.stride) as isize + columns.offset;
            let inside = 0.max(-left) as usize..(w as isize - left).max(0) as usize;
            let mut tap = taps.start;
            while tap < taps.end {
                let (tap_row, first) = (tap / columns.taps, tap % columns.taps);
                let end = columns.taps.min(first + taps.end - tap);
                tap += end - first;
                let Some(row) = rows.source(row, tap_row, h) else {
                    visit_run(end - first, None);
                    continue;
                };
                let (start, stop) = (inside.start.clamp(first, end), inside.end.clamp(first, end));
                visit_run(start - first, None);
                for tap in (start..stop).step_by(run) {
                    let pixel = (n * h + row) * w + tap.wrapping_add_signed(left);
                    let source = pixel * self.n_channels + group * channels;
                    visit_run(run.min(stop - tap), Some(source));
                }
                visit_run(end - stop, None);
            }
        }
    }
}

/// Copies a run of contiguous elements. A loop copies a short run, because a call of `memcpy` would cost more.
fn copy<T: Real>(from: &[T], to: &mut [T]) {
    const SHORT: usize = 16 * LANES;
    if from.len() > SHORT {
        return to.copy_from_slice(from);
    }
    for at in whole(from.len()).step_by(LANES) {
        store(to, at, lanes::<T, LANES>(from, at));
    }
    for at in rest(from.len()) {
        to[at] = from[at];
    }
}
