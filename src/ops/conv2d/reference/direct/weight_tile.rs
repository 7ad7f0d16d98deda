//! The inner loops of the gradient of the weight: some rows' part of it, for one block of channels. The sums of a tile stay
//! in registers for all pixels of the rows.

use std::array::from_fn;

use pulp::{Simd, WithSimd};

use super::ahead::NextRows;
use super::tile::lanes_at;
use crate::kernel::Real;
use crate::kernel::cpu::lanes::LANES;
use crate::kernel::cpu::simd::vectors_of_lanes;

/// Largest number of members of a group whose gradients are summed together.
pub const MEMBERS: usize = 4;
/// Number of pixels of narrow groups that share permutations of x.
pub const TOGETHER: usize = 4;

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
    /// The memory that the next band needs. Each [`TOGETHER`] pixels of a [`NarrowWeight`] prefetch a part.
    pub next: NextRows<'a, T>,
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
        let WeightRows { x, d_y, rows, n_pixels, d_weight, d_weight_plane, next, .. } = self.0;
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
            for (row, &[x_start, d_y_start]) in rows.iter().enumerate() {
                let x = &x[x_start..][..((n_pixels - 1) * STRIDE + TAPS) * LANES];
                let d_y = &d_y[d_y_start..][..n_pixels * LANES];
                let whole = n_pixels / TOGETHER * TOGETHER;
                // The vectors of a block have the same cache lines.
                let prefetch = |pixel: usize| {
                    if vector == 0 {
                        next.prefetch(row * n_pixels.div_ceil(TOGETHER) + pixel / TOGETHER);
                    }
                };
                for pixel in (0..whole).step_by(TOGETHER) {
                    prefetch(pixel);
                    let (x, d_y) = (&x[pixel * STRIDE * LANES..], &d_y[pixel * LANES..]);
                    sums = add_pixels::<T, S, G, TAPS, STRIDE, TOGETHER>(
                        simd, x, d_y, vector, FIRST, sums,
                    );
                }
                if whole < n_pixels {
                    prefetch(whole);
                }
                for pixel in whole..n_pixels {
                    let (x, d_y) = (&x[pixel * STRIDE * LANES..], &d_y[pixel * LANES..]);
                    sums =
                        add_pixels::<T, S, G, TAPS, STRIDE, 1>(simd, x, d_y, vector, FIRST, sums);
                }
            }
            // The sums of narrower groups are divided by pixel.
            let one = T::splat(simd, T::ONE);
            let mut n_sums = MEMBERS;
            while n_sums > G {
                n_sums /= 2;
                let (kept, added) = sums.split_at_mut(n_sums);
                for (kept, added) in kept.iter_mut().zip(added) {
                    for (kept, &mut added) in kept.iter_mut().zip(added) {
                        *kept = T::mul_add(simd, one, added, *kept);
                    }
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
    // The permutations need constant members, and compilers do not unroll a loop of this length.
    macro_rules! add {
        ($sums:ident, $number:literal) => {
            let member = first + $number % G;
            $sums = add_terms::<T, S, G, TAPS, STRIDE, N>(
                simd,
                x,
                d_y,
                vector,
                member,
                $number / G,
                $sums,
            );
        };
    }
    add!(s0, 0);
    add!(s1, 1);
    add!(s2, 2);
    add!(s3, 3);
    [s0, s1, s2, s3]
}

/// Adds the terms of one member to its sums: those of all pixels, or, of groups of fewer than [`MEMBERS`] channels, those
/// of every second or fourth pixel from number `first` on.
#[inline(always)]
fn add_terms<
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
    first: usize,
    mut sums: [T::Vector<S>; TAPS],
) -> [T::Vector<S>; TAPS] {
    for pixel in 0..N {
        if pixel % (MEMBERS / G).max(1) == first {
            let d_y = T::vectors::<S>(lanes_at(d_y, pixel))[vector];
            for (tap, sum) in sums.iter_mut().enumerate() {
                let x = lanes_at(x, pixel * STRIDE + tap);
                let x = T::of_group::<S, G>(simd, x, vector, member);
                *sum = T::mul_add(simd, x, d_y, *sum);
            }
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
        match (S::REGISTER_COUNT >= 32, n_vectors % 2, n_vectors % 3) {
            (true, 0, _) => wide_tiles::<T, S, 2>(simd, self.0, n_vectors),
            (true, _, 0) => wide_tiles::<T, S, 3>(simd, self.0, n_vectors),
            _ => wide_tiles::<T, S, 1>(simd, self.0, n_vectors),
        }
    }
}

/// Chooses the number of rows of a tile.
#[inline(always)]
fn wide_tiles<T: Real, S: Simd, const V: usize>(
    simd: S,
    rows: WeightRows<'_, T>,
    n_vectors: usize,
) {
    let n = rows.run_len;
    match n {
        _ if n.is_multiple_of(8) => wide_weight::<T, S, V, 8>(simd, rows, n_vectors),
        _ if n.is_multiple_of(9) => wide_weight::<T, S, V, 9>(simd, rows, n_vectors),
        _ if n.is_multiple_of(7) => wide_weight::<T, S, V, 7>(simd, rows, n_vectors),
        9.. => wide_weight::<T, S, V, 8>(simd, rows, n_vectors),
        _ => wide_weight::<T, S, V, 1>(simd, rows, n_vectors),
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
            let sums_of = &mut d_weight[start * n_vectors + vector..][..(Q - 1) * n_vectors + V];
            let mut sums = [[T::splat(simd, T::ZERO); V]; Q];
            for q in 0..Q {
                for v in 0..V {
                    sums[q][v] = sums_of[q * n_vectors + v];
                }
            }
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
                for v in 0..V {
                    if start + q >= first {
                        sums_of[q * n_vectors + v] = sums[q][v];
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::cpu::simd::widest;

    /// Every tile adds the terms of a weight in the same order, and adds none twice, so runs of any length have the same
    /// bits with the vectors of every instruction set that has fused multiply-adds.
    #[test]
    fn every_tile_of_wide_weights_has_the_same_bits() {
        let numbers = |n: usize| -> Vec<f32> {
            (0..n).map(|ix| (ix * ix % 1013) as f32 / 1013.0 - 0.4).collect()
        };
        let (n_pixels, x_step) = (5, 3);
        for (run_len, n_channels) in (1..=28).flat_map(|n| [16, 32, 48].map(|lanes| (n, lanes))) {
            let x = numbers(2 * (n_pixels * x_step + run_len));
            let d_y = numbers(2 * n_pixels * n_channels);
            let before = numbers(run_len * n_channels);
            let rows = [[x.len() / 2, 0], [1, n_pixels * n_channels]];
            let mut expected = before.clone();
            for (ix, sum) in expected.iter_mut().enumerate() {
                let (at, c) = (ix / n_channels, ix % n_channels);
                for [x_start, d_y_start] in rows {
                    for pixel in 0..n_pixels {
                        let x = x[x_start + pixel * x_step + at];
                        *sum = x.mul_add(d_y[d_y_start + pixel * n_channels + c], *sum);
                    }
                }
            }
            let check = |set: &str, run: &dyn Fn(WideWeight<'_, f32>)| {
                let mut d_weight = before.clone();
                run(WideWeight(WeightRows {
                    x: &x,
                    d_y: &d_y,
                    rows: &rows,
                    n_pixels,
                    n_channels,
                    x_step,
                    run_len,
                    d_weight: &mut d_weight,
                    d_weight_plane: 0,
                    next: NextRows::default(),
                }));
                assert!(d_weight == expected, "{set}, runs of {run_len}, {n_channels} channels");
            };
            #[cfg(target_arch = "x86_64")]
            if let Some(v3) = pulp::x86::V3::try_new() {
                check("AVX2", &|weight| Simd::vectorize(v3, weight));
                check("the widest vectors", &|weight| widest(weight));
            }
        }
    }
}
