//! im2col: the patches of x under the kernel become the rows of a matrix, and the convolution becomes a matrix product.
//!
//! Row `p` of the matrix is the patch of output pixel `p` (over all images, in the order `(n, oy, ox)`). Column
//! `(ky, kx, ci)` is one position of the kernel and one input channel. Then `y = patches · weight`, and
//! `d_weight = patchesᵀ · d_y`. Memory holds one block of rows at a time, small enough for the cache.

use std::ops::Range;

use super::ConvGeometry;
use crate::kernel::Real;
use crate::kernel::cpu::lanes::{LANES, lanes, rest, store, whole};

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
/// Least number of rows of a block, even if there are then fewer than [`MIN_BLOCKS`] blocks.
const FEW_ROWS: usize = 64;

/// Returns the number of rows of a block. The number depends on the shape alone, because the order of sums depends on
/// it.
pub(super) fn block_rows(geometry: &ConvGeometry) -> usize {
    let rows = (BLOCK_ELEMENTS / n_columns(geometry)).clamp(MIN_ROWS, MAX_ROWS);
    rows.min(geometry.n_pixels().div_ceil(MIN_BLOCKS).max(FEW_ROWS))
}

/// Returns the number of images of a task that computes whole images. Several images of small planes together give a
/// product of many rows.
pub(super) fn images_per_block(geometry: &ConvGeometry) -> usize {
    (block_rows(geometry) / (geometry.out[0] * geometry.out[1])).clamp(1, geometry.n)
}

/// Returns the number of columns of the matrix for one group: kernel positions times input channels.
pub(super) fn n_columns(geometry: &ConvGeometry) -> usize {
    geometry.window.area() * geometry.ci_per_group()
}

/// A block of the matrix of patches.
#[derive(Clone)]
pub(super) struct PatchBlock {
    /// The rows of the block: output pixels.
    pub pixels: Range<usize>,
    /// The columns of the block: kernel positions, `ky · KW + kx`.
    pub positions: Range<usize>,
    /// The group of channels.
    pub group: usize,
}

/// Writes a block of the matrix into `patches`, row after row.
pub(super) fn gather<T: Real>(
    geometry: &ConvGeometry,
    x: &[T],
    block: PatchBlock,
    patches: &mut [T],
) {
    each_run(geometry, block, |run, source| match source {
        Some(start) => copy(&x[start..start + run.len()], &mut patches[run]),
        None => patches[run].fill(T::ZERO),
    });
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

/// Adds each element of a block of the matrix to the element of the gradient of x at the place from which [`gather`]
/// copies. `d_x` is a part of that gradient; its first element has the index `origin` in the whole tensor.
pub(super) fn scatter_add<T: Real>(
    geometry: &ConvGeometry,
    patches: &[T],
    block: PatchBlock,
    d_x: &mut [T],
    origin: usize,
) {
    each_run(geometry, block, |run, source| {
        if let Some(start) = source {
            let d_x = &mut d_x[start - origin..start - origin + run.len()];
            d_x.iter_mut().zip(&patches[run]).for_each(|(d_x, &p)| *d_x += p);
        }
    });
}

/// Calls `visit` for each run of a block: elements that are contiguous in x, or that are all padding. The arguments are
/// the run's range in the block, and the index of its first element in x, or `None` for padding. If there is only one
/// group, all channels under one row of the kernel are one run.
#[inline]
fn each_run(
    geometry: &ConvGeometry,
    block: PatchBlock,
    mut visit: impl FnMut(Range<usize>, Option<usize>),
) {
    let ([h, w], [oh, ow], window) = (geometry.plane, geometry.out, geometry.window);
    let ([_, kernel_w], channels) = (window.size, geometry.ci_per_group());
    let PatchBlock { pixels, positions, group } = block;
    let run = if geometry.groups == 1 { kernel_w } else { 1 };
    let mut at = 0;
    let mut visit_run = |n_positions: usize, source: Option<usize>| {
        if n_positions > 0 {
            visit(at..at + n_positions * channels, source);
            at += n_positions * channels;
        }
    };
    for pixel in pixels {
        let (n, oy, ox) = (pixel / (oh * ow), pixel / ow % oh, pixel % ow);
        // The column of x under kernel column kx is left + kx − padding.
        let (left, padding) = (ox * window.stride[1], window.padding[1]);
        let inside = padding.saturating_sub(left)..(w + padding).saturating_sub(left);
        let mut position = positions.start;
        while position < positions.end {
            let (ky, first) = (position / kernel_w, position % kernel_w);
            let end = kernel_w.min(first + positions.end - position);
            position += end - first;
            let Some(row) = window.source(0, oy, ky, h) else {
                visit_run(end - first, None);
                continue;
            };
            let (start, stop) = (inside.start.clamp(first, end), inside.end.clamp(first, end));
            visit_run(start - first, None);
            for kx in (start..stop).step_by(run) {
                let pixel = (n * h + row) * w + left + kx - padding;
                let source = pixel * geometry.ci + group * channels;
                visit_run(run.min(stop - kx), Some(source));
            }
            visit_run(end - stop, None);
        }
    }
}
