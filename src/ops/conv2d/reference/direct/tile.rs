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
/// Largest number of members of a group whose gradients are summed together.
pub const MEMBERS: usize = 4;

/// A row of the result.
pub struct Row<'a, T> {
    /// The packed source.
    pub x: &'a [T],
    /// The packed weight of the block.
    pub weight: &'a [T],
    /// For each run of the sum: its first element in `x` for the first pixel, and its first element in `weight`.
    pub runs: &'a [[usize; 2]],
    /// The number of elements of a run of a [`Wide`] row.
    pub run_len: usize,
    /// The distance in `weight` between two members of a group of a [`Narrow`] row.
    pub weight_plane: usize,
    /// The distance of neighbouring pixels of a [`Wide`] row in `x`.
    pub x_step: usize,
    /// The result, from the first pixel's first channel on.
    pub y: &'a mut [T],
    /// The distance of neighbouring pixels in `y`.
    pub y_step: usize,
    /// The number of pixels.
    pub n_pixels: usize,
    /// The number of lanes of the block: [`LANES`] of a [`Narrow`] row.
    pub n_lanes: usize,
    /// The number of channels, at most one for each lane.
    pub n_channels: usize,
}

/// A row of groups of `G` channels: lane l adds the products of all members of its group. A run has `TAPS` neighbouring
/// columns, which are [`LANES`] apart in the packed source; neighbouring pixels are `STRIDE` columns apart.
pub struct Narrow<'a, T, const G: usize, const TAPS: usize, const STRIDE: usize>(pub Row<'a, T>);

impl<T: Real, const G: usize, const TAPS: usize, const STRIDE: usize> WithSimd
    for Narrow<'_, T, G, TAPS, STRIDE>
{
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Row { x, weight, runs, weight_plane, y, y_step, n_pixels, n_channels, .. } = self.0;
        for first in (0..n_pixels).step_by(PIXELS) {
            for vector in 0..vectors_of_lanes::<T, S>() {
                let mut sums = [T::splat(simd, T::ZERO); PIXELS];
                for &[x_start, weight_start] in runs {
                    let x = &x[x_start + first * STRIDE * LANES..];
                    let x = &x[..((PIXELS - 1) * STRIDE + TAPS) * LANES];
                    let of_member = |member: usize| {
                        &weight[weight_start + member * weight_plane..][..TAPS * LANES]
                    };
                    // The permutations need constant members, and compilers do not unroll a loop of this length.
                    sums =
                        add_terms::<T, S, G, TAPS, STRIDE>(simd, x, of_member(0), vector, 0, sums);
                    if G > 1 {
                        sums = add_terms::<T, S, G, TAPS, STRIDE>(
                            simd,
                            x,
                            of_member(1),
                            vector,
                            1,
                            sums,
                        );
                    }
                    if G > 2 {
                        sums = add_terms::<T, S, G, TAPS, STRIDE>(
                            simd,
                            x,
                            of_member(2),
                            vector,
                            2,
                            sums,
                        );
                        sums = add_terms::<T, S, G, TAPS, STRIDE>(
                            simd,
                            x,
                            of_member(3),
                            vector,
                            3,
                            sums,
                        );
                    }
                    if G > 4 {
                        sums = add_terms::<T, S, G, TAPS, STRIDE>(
                            simd,
                            x,
                            of_member(4),
                            vector,
                            4,
                            sums,
                        );
                        sums = add_terms::<T, S, G, TAPS, STRIDE>(
                            simd,
                            x,
                            of_member(5),
                            vector,
                            5,
                            sums,
                        );
                        sums = add_terms::<T, S, G, TAPS, STRIDE>(
                            simd,
                            x,
                            of_member(6),
                            vector,
                            6,
                            sums,
                        );
                        sums = add_terms::<T, S, G, TAPS, STRIDE>(
                            simd,
                            x,
                            of_member(7),
                            vector,
                            7,
                            sums,
                        );
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

/// Adds the terms of one member of the groups to the sums of a tile.
#[inline(always)]
fn add_terms<T: Real, S: Simd, const G: usize, const TAPS: usize, const STRIDE: usize>(
    simd: S,
    x: &[T],
    weight: &[T],
    vector: usize,
    member: usize,
    mut sums: [T::Vector<S>; PIXELS],
) -> [T::Vector<S>; PIXELS] {
    let weight: [_; TAPS] = from_fn(|tap| T::vectors::<S>(&weight[tap * LANES..][..LANES])[vector]);
    for (pixel, sum) in sums.iter_mut().enumerate() {
        for (tap, &weight) in weight.iter().enumerate() {
            // The compiler permutes a column once for all pixels.
            let x = lanes_at(x, pixel * STRIDE + tap);
            let x = T::of_group::<S, G>(simd, x, vector, member);
            *sum = T::mul_add(simd, x, weight, *sum);
        }
    }
    sums
}

/// Returns the lanes of a column of a packed row of narrow groups.
#[inline(always)]
fn lanes_at<T>(x: &[T], column: usize) -> &[T; LANES] {
    x[column * LANES..].first_chunk().expect("a column has as many elements as lanes")
}

/// Writes vector number `vector` of the lanes of a pixel, as far as the pixel has channels.
#[inline(always)]
fn store_lanes<T: Real, S: Simd>(
    vector: usize,
    n_channels: usize,
    sums: T::Vector<S>,
    y: &mut [T],
) {
    let width = LANES / vectors_of_lanes::<T, S>();
    let first = vector * width;
    if first + width <= n_channels {
        T::vectors_mut::<S>(&mut y[first..first + width])[0] = sums;
        return;
    }
    let mut lanes = [T::ZERO; LANES];
    T::vectors_mut::<S>(&mut lanes)[0] = sums;
    if first < n_channels {
        y[first..n_channels].copy_from_slice(&lanes[..n_channels - first]);
    }
}

/// A row of wide groups: all channels of the block are sums over the same elements of x. A run is contiguous in the
/// packed source.
pub struct Wide<'a, T>(pub Row<'a, T>);

impl<T: Real> WithSimd for Wide<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // Sixteen registers hold the sums of eight pixels, a vector of the weight, and an element of x.
        let n_vectors = vectors_of_lanes::<T, S>() * (self.0.n_lanes / LANES);
        if S::REGISTER_COUNT >= 32 && n_vectors.is_multiple_of(2) {
            wide::<T, S, 2>(simd, self.0, n_vectors);
        } else {
            wide::<T, S, 1>(simd, self.0, n_vectors);
        }
    }
}

#[inline(always)]
fn wide<T: Real, S: Simd, const V: usize>(simd: S, row: Row<'_, T>, n_vectors: usize) {
    let Row { x, weight, runs, run_len, x_step, y, y_step, n_pixels, n_channels, .. } = row;
    let weight = T::vectors::<S>(weight);
    let width = LANES / vectors_of_lanes::<T, S>();
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
                    let y = &mut y[(first + pixel) * y_step..];
                    for (v, &sum) in sums[pixel].iter().enumerate() {
                        store_lanes::<T, S>(vector + v, n_channels, sum, y);
                    }
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
    /// The distance of neighbouring pixels of a [`WideWeight`] in `x`.
    pub x_step: usize,
    /// The number of elements of x for each pixel of a [`WideWeight`].
    pub run_len: usize,
    /// The sums to which the part is added.
    pub d_weight: &'a mut [T],
    /// The distance in `d_weight` between two members of a group of a [`NarrowWeight`].
    pub d_weight_plane: usize,
}

/// The rows' part of the gradient of the weight for groups of `G` channels: up to four members from number `FIRST` on,
/// and `TAPS` neighbouring columns.
pub struct NarrowWeight<
    'a,
    T,
    const G: usize,
    const FIRST: usize,
    const TAPS: usize,
    const STRIDE: usize,
>(pub WeightRows<'a, T>);

impl<T: Real, const G: usize, const FIRST: usize, const TAPS: usize, const STRIDE: usize> WithSimd
    for NarrowWeight<'_, T, G, FIRST, TAPS, STRIDE>
{
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        /// Number of pixels that share permutations of x.
        const TOGETHER: usize = 4;
        let WeightRows { x, d_y, rows, n_pixels, d_weight, d_weight_plane, .. } = self.0;
        let n_vectors = vectors_of_lanes::<T, S>();
        let d_weight = T::vectors_mut::<S>(d_weight);
        for vector in 0..n_vectors {
            let at = |member: usize, tap: usize| {
                ((FIRST + member) * (d_weight_plane / LANES) + tap) * n_vectors + vector
            };
            let mut sums: [[_; TAPS]; MEMBERS] = from_fn(|member| {
                from_fn(|tap| {
                    if member < G { d_weight[at(member, tap)] } else { T::splat(simd, T::ZERO) }
                })
            });
            for &[x_start, d_y_start] in rows {
                let x = &x[x_start..][..((n_pixels - 1) * STRIDE + TAPS) * LANES];
                let d_y = &d_y[d_y_start..][..n_pixels * LANES];
                let whole = n_pixels / TOGETHER * TOGETHER;
                for pixel in (0..whole).step_by(TOGETHER) {
                    let (x, d_y) = (&x[pixel * STRIDE * LANES..], &d_y[pixel * LANES..]);
                    sums = add_pixels::<T, S, G, TAPS, STRIDE, TOGETHER>(
                        simd, x, d_y, vector, FIRST, sums,
                    );
                }
                for pixel in whole..n_pixels {
                    let (x, d_y) = (&x[pixel * STRIDE * LANES..], &d_y[pixel * LANES..]);
                    sums =
                        add_pixels::<T, S, G, TAPS, STRIDE, 1>(simd, x, d_y, vector, FIRST, sums);
                }
            }
            for member in 0..MEMBERS.min(G) {
                for tap in 0..TAPS {
                    d_weight[at(member, tap)] = sums[member][tap];
                }
            }
        }
    }
}

/// Adds the terms of `N` pixels to the sums of up to four members.
#[inline(always)]
fn add_pixels<
    T: Real,
    S: Simd,
    const G: usize,
    const TAPS: usize,
    const STRIDE: usize,
    const N: usize,
>(
    simd: S,
    x: &[T],
    d_y: &[T],
    vector: usize,
    first: usize,
    [mut s0, mut s1, mut s2, mut s3]: [[T::Vector<S>; TAPS]; MEMBERS],
) -> [[T::Vector<S>; TAPS]; MEMBERS] {
    let x = &x[..((N - 1) * STRIDE + TAPS) * LANES];
    let d_y = &d_y[..N * LANES];
    s0 = add_member::<T, S, G, TAPS, STRIDE, N>(simd, x, d_y, vector, first, s0);
    if G > 1 {
        s1 = add_member::<T, S, G, TAPS, STRIDE, N>(simd, x, d_y, vector, first + 1, s1);
    }
    if G > 2 {
        s2 = add_member::<T, S, G, TAPS, STRIDE, N>(simd, x, d_y, vector, first + 2, s2);
        s3 = add_member::<T, S, G, TAPS, STRIDE, N>(simd, x, d_y, vector, first + 3, s3);
    }
    [s0, s1, s2, s3]
}

/// Adds the terms of `N` pixels to the sums of one member.
#[inline(always)]
fn add_member<
    T: Real,
    S: Simd,
    const G: usize,
    const TAPS: usize,
    const STRIDE: usize,
    const N: usize,
>(
    simd: S,
    x: &[T],
    d_y: &[T],
    vector: usize,
    member: usize,
    mut sums: [T::Vector<S>; TAPS],
) -> [T::Vector<S>; TAPS] {
    for pixel in 0..N {
        let d_y = T::vectors::<S>(lanes_at(d_y, pixel))[vector];
        for (tap, sum) in sums.iter_mut().enumerate() {
            let x = lanes_at(x, pixel * STRIDE + tap);
            let x = T::of_group::<S, G>(simd, x, vector, member);
            *sum = T::mul_add(simd, x, d_y, *sum);
        }
    }
    sums
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
