//! The patches under a kernel as the rows of a matrix, so that a convolution is a matrix product.
//!
//! Row `p` of the matrix belongs to output pixel `p` (over all images, `(n, oy, ox)` in that order),
//! column `(ky, kx, ci)` to a weight: `y = patches · weight`, and `d_weight = patchesᵀ · d_y`. Only
//! a block of rows exists at a time, small enough to stay in the cache.

use std::ops::Range;

use super::Geometry;
use crate::kernel::Real;
use crate::kernel::cpu::lanes::{LANES, lanes, rest, store, whole};

/// Elements of a block, where its rows are short: few enough for a core's own cache.
const BLOCK_ELEMENTS: usize = 1 << 16;
/// Rows that a block has at least, however long they are: the matrix product packs the weights once a
/// block, which many rows have to pay for.
const MIN_ROWS: usize = 512;
/// Rows that a block has at most, however short they are.
const MAX_ROWS: usize = 1024;
/// Blocks that there are at least, if each has this many rows: work for several threads.
const MIN_BLOCKS: usize = 4;
const FEW_ROWS: usize = 64;

/// Rows of a block: a function of the shape alone, since the order of sums depends on it.
pub(super) fn block_rows(geometry: &Geometry) -> usize {
    let rows = (BLOCK_ELEMENTS / n_columns(geometry)).clamp(MIN_ROWS, MAX_ROWS);
    rows.min(geometry.n_pixels().div_ceil(MIN_BLOCKS).max(FEW_ROWS))
}

/// Images that are taken together where a task makes whole images, so that small planes too give a
/// product of many rows.
pub(super) fn images_per_block(geometry: &Geometry) -> usize {
    (block_rows(geometry) / (geometry.out[0] * geometry.out[1])).clamp(1, geometry.n)
}

/// Columns of the matrix for one group.
pub(super) fn n_columns(geometry: &Geometry) -> usize {
    geometry.window.area() * geometry.ci_per_group()
}

/// Which part of the matrix: the rows of these output pixels, the columns of these positions of the
/// kernel (`ky · KW + kx`) and of one group.
#[derive(Clone)]
pub(super) struct Part {
    pub pixels: Range<usize>,
    pub positions: Range<usize>,
    pub group: usize,
}

/// Writes a part of the matrix into `patches`, row after row.
pub(super) fn gather<T: Real>(geometry: &Geometry, x: &[T], part: Part, patches: &mut [T]) {
    each_run(geometry, part, |run, source| match source {
        Some(start) => copy(&x[start..start + run.len()], &mut patches[run]),
        None => patches[run].fill(T::ZERO),
    });
}

/// Copies a run. A short one without the call that copying a slice is.
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

/// Adds a part of the matrix back to where [`gather`] took it from. `origin` is where `d_x` starts
/// within the whole tensor.
pub(super) fn scatter_add<T: Real>(
    geometry: &Geometry,
    patches: &[T],
    part: Part,
    d_x: &mut [T],
    origin: usize,
) {
    each_run(geometry, part, |run, source| {
        if let Some(start) = source {
            let d_x = &mut d_x[start - origin..start - origin + run.len()];
            d_x.iter_mut().zip(&patches[run]).for_each(|(d_x, &p)| *d_x += p);
        }
    });
}

/// Calls `visit` for every run of elements of a part that lie one behind the other in x, with where in
/// x they start; and for those that are padding. In one group, the channels under a row of the kernel
/// are such a run: its columns are neighbours in x too.
#[inline]
fn each_run(geometry: &Geometry, part: Part, mut visit: impl FnMut(Range<usize>, Option<usize>)) {
    let ([h, w], [oh, ow], window) = (geometry.plane, geometry.out, geometry.window);
    let ([_, kernel_w], channels) = (window.size, geometry.ci_per_group());
    let Part { pixels, positions, group } = part;
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
        // The column of x under kx is left + kx − padding.
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
