//! The gradient of the weight of wide groups.

use pulp::{Simd, WithSimd};

use super::weight_rows::WeightRows;
use crate::kernel::Real;
use crate::kernel::cpu::lanes::LANES;
use crate::kernel::cpu::simd::vectors_of_lanes;

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
    let x = x.values;
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
    use super::super::ahead::NextRows;
    use super::super::row::Columns;
    use super::super::row::tests::{assert_same_bits, numbers};
    use super::*;

    /// Every tile adds the terms of a weight in the same order, and adds none twice, so runs of any length have the same
    /// bits with the vectors of every instruction set that has fused multiply-adds.
    #[test]
    fn every_tile_of_wide_weights_has_the_same_bits() {
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
            let name = format!("runs of {run_len}, {n_channels} channels");
            assert_same_bits(&name, &before, &expected, |set, d_weight| {
                set.run(WideWeight(WeightRows {
                    x: Columns { values: &x, step: 1, width: x.len() },
                    d_y: &d_y,
                    d_y_step: n_channels,
                    rows: &rows,
                    column: 0,
                    padded: &mut [],
                    n_pixels,
                    n_channels,
                    x_step,
                    run_len,
                    d_weight,
                    d_weight_plane: 0,
                    next: NextRows::default(),
                }))
            });
        }
    }
}
