//! The inner loops of the gradient of the weight: some rows' part of it, for one block of channels. The sums of a tile stay
//! in registers for all pixels of the rows.

use std::array::from_fn;

use pulp::{Simd, WithSimd};

use super::tile::lanes_at;
use crate::kernel::Real;
use crate::kernel::cpu::lanes::LANES;
use crate::kernel::cpu::simd::vectors_of_lanes;

/// Number of rows of a tile of the gradient of the weight.
const WEIGHTS: usize = 8;
/// Largest number of members of a group whose gradients are summed together.
pub const MEMBERS: usize = 4;

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
