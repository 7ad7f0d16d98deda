//! The patches under a kernel as the rows of a matrix, so that a convolution is a matrix product.
//!
//! Row `p` of the matrix belongs to output pixel `p` (over all images, `(n, oy, ox)` in that order),
//! column `(ky, kx, ci)` to a weight: `y = patches · weight`, and `d_weight = patchesᵀ · d_y`. Only
//! a block of rows exists at a time, small enough to stay in the cache.

use std::ops::Range;

use super::Geometry;
use crate::ops::Real;

/// Rows of a block: enough for the matrix product to run at full speed, few enough that a block of
/// the network's widest layer (4,608 columns) is a few megabytes.
pub const BLOCK: usize = 256;

/// Images that are taken together where a task makes whole images, so that small planes too give a
/// product of many rows.
pub(super) fn images_per_block(geometry: &Geometry) -> usize {
    (BLOCK / (geometry.out[0] * geometry.out[1])).clamp(1, geometry.n)
}

/// Columns of the matrix for one group.
pub(super) fn n_columns(geometry: &Geometry) -> usize {
    geometry.window.area() * geometry.ci_per_group()
}

/// Writes the patches of `pixels` and `group` into `patches`, row after row.
pub(super) fn gather<T: Real>(
    geometry: &Geometry,
    x: &[T],
    pixels: Range<usize>,
    group: usize,
    patches: &mut [T],
) {
    let channels = geometry.ci_per_group();
    each_source(geometry, pixels, group, |at, source| {
        let patch = &mut patches[at * channels..(at + 1) * channels];
        match source {
            Some(start) => patch.copy_from_slice(&x[start..start + channels]),
            None => patch.fill(T::ZERO),
        }
    });
}

/// Adds the patches back to where [`gather`] took them from. `origin` is where `d_x` starts within the
/// whole tensor.
pub(super) fn scatter_add<T: Real>(
    geometry: &Geometry,
    patches: &[T],
    pixels: Range<usize>,
    group: usize,
    d_x: &mut [T],
    origin: usize,
) {
    let channels = geometry.ci_per_group();
    each_source(geometry, pixels, group, |at, source| {
        if let Some(start) = source {
            let patch = &patches[at * channels..(at + 1) * channels];
            let d_x = &mut d_x[start - origin..start - origin + channels];
            d_x.iter_mut().zip(patch).for_each(|(d_x, &p)| *d_x += p);
        }
    });
}

/// Calls `visit` for every (pixel, ky, kx), numbered in that order, with the element at which the
/// channels of `group` start in x, if that is inside the plane.
#[inline]
fn each_source(
    geometry: &Geometry,
    pixels: Range<usize>,
    group: usize,
    mut visit: impl FnMut(usize, Option<usize>),
) {
    let ([h, w], [oh, ow], window) = (geometry.plane, geometry.out, geometry.window);
    let first_channel = group * geometry.ci_per_group();
    let mut at = 0;
    for pixel in pixels {
        let (n, oy, ox) = (pixel / (oh * ow), pixel / ow % oh, pixel % ow);
        for ky in 0..window.size[0] {
            let row = window.source(0, oy, ky, h);
            for kx in 0..window.size[1] {
                let column = window.source(1, ox, kx, w);
                let start = row.zip(column).map(|(row, column)| {
                    ((n * h + row) * w + column) * geometry.ci + first_channel
                });
                visit(at, start);
                at += 1;
            }
        }
    }
}
