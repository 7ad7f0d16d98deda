//! The inner loops of the direct convolution: a row of the result, or a row's part of the gradient of the weight, for
//! one block of channels.
//!
//! A kernel keeps the sums of a tile in registers: [`PIXELS`] neighbouring pixels times one or two vectors of channels.
//! It reads each vector of the weight once for all pixels of the tile, and it needs no matrix of patches.

use std::array::from_fn;

use pulp::{Simd, WithSimd};

use crate::kernel::Real;
use crate::kernel::cpu::lanes::LANES;
use crate::kernel::cpu::simd::vectors_of_lanes;

/// Number of pixels of a tile. The planes of ImageNet's networks have multiples of 7 columns and those of CIFAR's have
/// multiples of 8, and tiles of 8 pixels cover both to at least seven eighths.
pub const PIXELS: usize = 8;
/// Number of rows of a tile of the gradient of the weight.
const WEIGHTS: usize = 8;

/// A row of the result.
pub struct Row<'a, T> {
    /// The packed source.
    pub x: &'a [T],
    /// The packed weight of the block.
    pub weight: &'a [T],
    /// For each run of the sum: its first element in `x` for the first pixel, and its first element in `weight`.
    pub runs: &'a [[usize; 2]],
    /// The number of elements of a run.
    pub run_len: usize,
    /// The distance of neighbouring pixels in `x`.
    pub x_step: usize,
    /// The result, from the first pixel's first channel on.
    pub y: &'a mut [T],
    /// The distance of neighbouring pixels in `y`.
    pub y_step: usize,
    /// The number of pixels.
    pub n_pixels: usize,
    /// The number of channels: at most [`LANES`] of a [`Narrow`] row.
    pub n_channels: usize,
}

/// A row of narrow groups: every lane has an element of x of its own. A run has `TAPS` neighbouring columns, which are
/// [`LANES`] apart in the packed source; neighbouring pixels are `STRIDE` columns apart.
pub struct Narrow<'a, T, const TAPS: usize, const STRIDE: usize>(pub Row<'a, T>);

impl<T: Real, const TAPS: usize, const STRIDE: usize> WithSimd for Narrow<'_, T, TAPS, STRIDE> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Row { x, weight, runs, y, y_step, n_pixels, n_channels, .. } = self.0;
        let (x, weight) = (T::vectors::<S>(x), T::vectors::<S>(weight));
        let n_vectors = vectors_of_lanes::<T, S>();
        let width = LANES / n_vectors;
        for first in (0..n_pixels).step_by(PIXELS) {
            for vector in 0..n_vectors {
                let mut sums = [T::splat(simd, T::ZERO); PIXELS];
                for &[x_start, weight_start] in runs {
                    let x = &x[(x_start / LANES + first * STRIDE) * n_vectors + vector..];
                    let x = &x[..((PIXELS - 1) * STRIDE + TAPS - 1) * n_vectors + 1];
                    let weight = &weight[weight_start / width + vector..];
                    let weight = &weight[..(TAPS - 1) * n_vectors + 1];
                    let weight: [_; TAPS] = from_fn(|tap| weight[tap * n_vectors]);
                    for pixel in 0..PIXELS {
                        for tap in 0..TAPS {
                            let x = x[(pixel * STRIDE + tap) * n_vectors];
                            sums[pixel] = T::mul_add(simd, x, weight[tap], sums[pixel]);
                        }
                    }
                }
                // An index that is not constant would keep the sums out of the registers.
                for pixel in 0..PIXELS {
                    if first + pixel < n_pixels {
                        let y = &mut y[(first + pixel) * y_step..];
                        store_lanes::<T, S>(vector, n_channels, sums[pixel], y);
                    }
                }
            }
        }
    }
}

/// Writes vector number `vector` of the lanes of a pixel, as far as the pixel has channels.
#[inline(always)]
fn store_lanes<T: Real, S: Simd>(
    vector: usize,
    n_channels: usize,
    sums: T::Vector<S>,
    y: &mut [T],
) {
    if n_channels == LANES {
        T::vectors_mut::<S>(&mut y[..LANES])[vector] = sums;
        return;
    }
    let width = LANES / vectors_of_lanes::<T, S>();
    let mut lanes = [T::ZERO; LANES];
    T::vectors_mut::<S>(&mut lanes)[vector] = sums;
    let these = vector * width..n_channels.min((vector + 1) * width);
    these.for_each(|lane| y[lane] = lanes[lane]);
}

/// A row of wide groups: all channels of the block are sums over the same elements of x. A run is contiguous in the
/// packed source.
pub struct Wide<'a, T>(pub Row<'a, T>);

impl<T: Real> WithSimd for Wide<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // Sixteen registers hold the sums of eight pixels, a vector of the weight, and an element of x.
        let n_vectors = vectors_of_lanes::<T, S>() * (self.0.n_channels / LANES);
        if S::REGISTER_COUNT >= 32 && n_vectors.is_multiple_of(2) {
            wide::<T, S, 2>(simd, self.0, n_vectors);
        } else {
            wide::<T, S, 1>(simd, self.0, n_vectors);
        }
    }
}

#[inline(always)]
fn wide<T: Real, S: Simd, const V: usize>(simd: S, row: Row<'_, T>, n_vectors: usize) {
    let Row { x, weight, runs, run_len, x_step, y, y_step, n_pixels, n_channels } = row;
    let weight = T::vectors::<S>(weight);
    let width = n_channels / n_vectors;
    for first in (0..n_pixels).step_by(PIXELS) {
        for vector in (0..n_vectors).step_by(V) {
            let mut sums = [[T::splat(simd, T::ZERO); V]; PIXELS];
            for &[x_start, weight_start] in runs {
                let x: [&[T]; PIXELS] =
                    from_fn(|pixel| &x[x_start + (first + pixel) * x_step..][..run_len]);
                let weight = &weight[weight_start / width..][..run_len * n_vectors];
                for (at, weight) in weight.chunks_exact(n_vectors).enumerate() {
                    let weight: &[_; V] = weight[vector..].first_chunk().expect("V vectors");
                    for pixel in 0..PIXELS {
                        let x = T::splat(simd, x[pixel][at]);
                        for v in 0..V {
                            sums[pixel][v] = T::mul_add(simd, x, weight[v], sums[pixel][v]);
                        }
                    }
                }
            }
            for pixel in 0..PIXELS {
                if first + pixel < n_pixels {
                    let y = &mut y[(first + pixel) * y_step..][..n_channels];
                    T::vectors_mut::<S>(y)[vector..vector + V].copy_from_slice(&sums[pixel]);
                }
            }
        }
    }
}

/// The part of the gradient of the weight that comes from some rows.
pub struct WeightRows<'a, T> {
    /// The packed source.
    pub x: &'a [T],
    /// The packed gradient of the output, `[rows, n_pixels, n_channels]`.
    pub d_y: &'a [T],
    /// For each row: its first element in `x` that is multiplied with the first pixel, and its first element in `d_y`.
    pub rows: &'a [[usize; 2]],
    /// The number of pixels of a row.
    pub n_pixels: usize,
    /// The number of channels.
    pub n_channels: usize,
    /// The distance of neighbouring planes of a [`NarrowWeight`] in `x`.
    pub x_plane: usize,
    /// The distance of neighbouring pixels of a [`WideWeight`] in `x`.
    pub x_step: usize,
    /// The number of elements of x for each pixel of a [`WideWeight`].
    pub run_len: usize,
    /// The sums to which the part is added.
    pub d_weight: &'a mut [T],
    /// The distance of neighbouring planes of a [`NarrowWeight`] in `d_weight`.
    pub d_weight_plane: usize,
}

/// The rows' part of the gradient of the weight for narrow groups: `PLANES` planes, and `TAPS` neighbouring columns.
pub struct NarrowWeight<'a, T, const PLANES: usize, const TAPS: usize, const STRIDE: usize>(
    pub WeightRows<'a, T>,
);

impl<T: Real, const PLANES: usize, const TAPS: usize, const STRIDE: usize> WithSimd
    for NarrowWeight<'_, T, PLANES, TAPS, STRIDE>
{
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let WeightRows { x, d_y, rows, n_pixels, x_plane, d_weight, d_weight_plane, .. } = self.0;
        let n_vectors = vectors_of_lanes::<T, S>();
        let x_len = ((n_pixels - 1) * STRIDE + TAPS - 1) * n_vectors + 1;
        let d_weight = T::vectors_mut::<S>(d_weight);
        for vector in 0..n_vectors {
            let at = |plane: usize, tap: usize| {
                (plane * (d_weight_plane / LANES) + tap) * n_vectors + vector
            };
            let mut sums: [[_; TAPS]; PLANES] =
                from_fn(|plane| from_fn(|tap| d_weight[at(plane, tap)]));
            for &[x_start, d_y_start] in rows {
                let x: [&[T::Vector<S>]; PLANES] = from_fn(|plane| {
                    &T::vectors::<S>(&x[x_start + plane * x_plane..])[vector..][..x_len]
                });
                let d_y = &T::vectors::<S>(&d_y[d_y_start..])[vector..];
                let d_y = &d_y[..(n_pixels - 1) * n_vectors + 1];
                for pixel in 0..n_pixels {
                    let d_y = d_y[pixel * n_vectors];
                    let start = pixel * STRIDE * n_vectors;
                    let x: [&[_]; PLANES] =
                        from_fn(|plane| &x[plane][start..start + (TAPS - 1) * n_vectors + 1]);
                    for plane in 0..PLANES {
                        for tap in 0..TAPS {
                            let x = x[plane][tap * n_vectors];
                            sums[plane][tap] = T::mul_add(simd, x, d_y, sums[plane][tap]);
                        }
                    }
                }
            }
            for plane in 0..PLANES {
                for tap in 0..TAPS {
                    d_weight[at(plane, tap)] = sums[plane][tap];
                }
            }
        }
    }
}

/// The rows' part of the gradient of the weight for wide groups.
pub struct WideWeight<'a, T>(pub WeightRows<'a, T>);

impl<T: Real> WithSimd for WideWeight<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let n_vectors = vectors_of_lanes::<T, S>() * (self.0.n_channels / LANES);
        let is_wide = S::REGISTER_COUNT >= 32 && n_vectors.is_multiple_of(2);
        match (is_wide, self.0.run_len >= WEIGHTS) {
            (true, true) => wide_weight::<T, S, 2, WEIGHTS>(simd, self.0, n_vectors),
            (false, true) => wide_weight::<T, S, 1, WEIGHTS>(simd, self.0, n_vectors),
            (_, false) => wide_weight::<T, S, 1, 1>(simd, self.0, n_vectors),
        }
    }
}

#[inline(always)]
fn wide_weight<T: Real, S: Simd, const V: usize, const Q: usize>(
    simd: S,
    rows: WeightRows<'_, T>,
    n_vectors: usize,
) {
    let WeightRows { x, d_y, rows, n_pixels, n_channels, x_step, run_len, d_weight, .. } = rows;
    let d_weight = &mut T::vectors_mut::<S>(d_weight)[..run_len * n_vectors];
    for first in (0..run_len).step_by(Q) {
        // The last tile may overlap the one before it. Then the sums that they share are stored once.
        let start = first.min(run_len - Q);
        for vector in (0..n_vectors).step_by(V) {
            let at = start * n_vectors + vector;
            let mut sums: [[_; V]; Q] = from_fn(|q| from_fn(|v| d_weight[at + q * n_vectors + v]));
            for &[x_start, d_y_start] in rows {
                let d_y = T::vectors::<S>(&d_y[d_y_start..][..n_pixels * n_channels]);
                let x = &x[x_start + start..][..(n_pixels - 1) * x_step + Q];
                for (pixel, d_y) in d_y.chunks_exact(n_vectors).enumerate() {
                    let d_y: &[_; V] = d_y[vector..].first_chunk().expect("V vectors");
                    let x: &[T; Q] = x[pixel * x_step..].first_chunk().expect("Q elements");
                    for q in 0..Q {
                        let x = T::splat(simd, x[q]);
                        for v in 0..V {
                            sums[q][v] = T::mul_add(simd, x, d_y[v], sums[q][v]);
                        }
                    }
                }
            }
            // An index that is not constant would keep the sums out of the registers.
            for q in 0..Q {
                if start + q >= first {
                    for v in 0..V {
                        d_weight[at + q * n_vectors + v] = sums[q][v];
                    }
                }
            }
        }
    }
}
