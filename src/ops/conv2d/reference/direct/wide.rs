//! Rows of wide groups.

use std::array::from_fn;

use pulp::{Simd, WithSimd};

use super::row::{PIXELS, Row, lanes_of_vector, store_lanes};
use crate::kernel::Real;
use crate::kernel::cpu::lanes::LANES;
use crate::kernel::cpu::simd::vectors_of_lanes;

/// A row of wide groups: all channels of the block are sums over the same elements of x. A run is contiguous in the
/// packed source.
pub struct Wide<'a, T>(pub Row<'a, T>);

impl<T: Real> WithSimd for Wide<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let n_vectors = vectors_of_lanes::<T, S>() * (self.0.n_lanes / LANES);
        let n = self.0.n_pixels;
        let covered = |pixels: usize| n.next_multiple_of(pixels);
        if S::REGISTER_COUNT < 32 {
            // Sixteen registers hold the sums of eight pixels, a vector of the weight, and an element of x.
            return wide::<T, S, 1, PIXELS>(simd, self.0, n_vectors);
        }
        // Tiles of seven pixels cover the planes of ImageNet's networks.
        let is_sevens = covered(7) < covered(PIXELS);
        match (n_vectors % 2, n_vectors % 3) {
            (0, _) if is_sevens => wide::<T, S, 2, 7>(simd, self.0, n_vectors),
            (0, _) => wide::<T, S, 2, PIXELS>(simd, self.0, n_vectors),
            (_, 0) if is_sevens => wide::<T, S, 3, 7>(simd, self.0, n_vectors),
            (_, 0) => wide::<T, S, 3, PIXELS>(simd, self.0, n_vectors),
            _ if covered(16) == covered(PIXELS) && covered(14) >= covered(16) => {
                wide::<T, S, 1, 16>(simd, self.0, n_vectors)
            }
            _ if covered(14) <= covered(PIXELS) => wide::<T, S, 1, 14>(simd, self.0, n_vectors),
            _ => wide::<T, S, 1, PIXELS>(simd, self.0, n_vectors),
        }
    }
}

/// Number of elements of a run that are added together. The compiler tests the bounds, and moves the sums between
/// registers, once for each of these steps.
const ELEMENTS: usize = 4;

/// Adds the terms of `N` elements of a run, from number `at` on, to the sums of a tile.
#[inline(always)]
fn add_elements<T: Real, S: Simd, const V: usize, const P: usize, const N: usize>(
    simd: S,
    x: [&[T]; P],
    at: usize,
    weight: &[T::Vector<S>],
    n_vectors: usize,
    mut sums: [[T::Vector<S>; V]; P],
) -> [[T::Vector<S>; V]; P] {
    let x: [&[T; N]; P] = from_fn(|pixel| x[pixel][at..].first_chunk().expect("N elements"));
    for n in 0..N {
        let weight: &[_; V] = weight[n * n_vectors..].first_chunk().expect("V vectors");
        for (pixel, sums) in sums.iter_mut().enumerate() {
            let x = T::splat(simd, x[pixel][n]);
            for (sum, &weight) in sums.iter_mut().zip(weight) {
                *sum = T::mul_add(simd, x, weight, *sum);
            }
        }
    }
    sums
}

/// Computes tiles of `P` pixels times `V` vectors.
#[inline(always)]
fn wide<T: Real, S: Simd, const V: usize, const P: usize>(
    simd: S,
    row: Row<'_, T>,
    n_vectors: usize,
) {
    let Row { x, weight, runs, run_len, x_step, y, y_step, n_pixels, n_channels, .. } = row;
    let weight = T::vectors::<S>(weight);
    let width = lanes_of_vector::<T, S>();
    for first in (0..n_pixels).step_by(P) {
        for vector in (0..n_vectors).step_by(V) {
            let mut sums = [[T::splat(simd, T::ZERO); V]; P];
            for run in runs {
                let x_start = run.row + run.column as usize * x.step;
                let x: [&[T]; P] =
                    from_fn(|pixel| &x.values[x_start + (first + pixel) * x_step..][..run_len]);
                let weight = &weight[run.weight / width..][..run_len * n_vectors];
                let whole = run_len / ELEMENTS * ELEMENTS;
                let weight_at = |at: usize| &weight[at * n_vectors + vector..];
                for at in (0..whole).step_by(ELEMENTS) {
                    let weight = weight_at(at);
                    sums =
                        add_elements::<T, S, V, P, ELEMENTS>(simd, x, at, weight, n_vectors, sums);
                }
                for at in whole..run_len {
                    sums =
                        add_elements::<T, S, V, P, 1>(simd, x, at, weight_at(at), n_vectors, sums);
                }
            }
            // An index that is not constant, or a long loop, would keep the sums out of the registers.
            let y = &mut y[first * y_step..];
            let n_inside = P.min(n_pixels - first);
            if n_inside == P && (vector + V) * width <= n_channels {
                for pixel in 0..P {
                    let y = &mut y[pixel * y_step + vector * width..][..V * width];
                    T::vectors_mut::<S>(y).copy_from_slice(&sums[pixel]);
                }
                continue;
            }
            let mut vectors = [[sums[0][0]; V]; P];
            for pixel in 0..P {
                for v in 0..V {
                    vectors[pixel][v] = sums[pixel][v];
                }
            }
            for (pixel, vectors) in vectors.iter().enumerate().take(n_inside) {
                for (v, &sums) in vectors.iter().enumerate() {
                    store_lanes::<T, S>(vector + v, n_channels, sums, &mut y[pixel * y_step..]);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::ahead::NextRows;
    use super::super::row::tests::{assert_same_bits, numbers};
    use super::super::row::{Columns, Run};
    use super::*;

    /// Every tile computes a pixel's sum in the same order, so rows of any length have the same bits with the vectors of
    /// every instruction set that has fused multiply-adds.
    #[test]
    fn every_tile_of_a_wide_row_has_the_same_bits() {
        let (run_len, x_step) = (6, 4);
        for (n_pixels, n_lanes) in (1..=33_usize).flat_map(|n| [16, 32, 48].map(|lanes| (n, lanes)))
        {
            let n_channels = n_lanes - n_pixels % 5;
            let x = numbers(2 * (n_pixels.next_multiple_of(PIXELS) * x_step + run_len));
            let weight = numbers(2 * run_len * n_lanes);
            let runs =
                [Run::default(), Run { row: x.len() / 2, column: 0, weight: run_len * n_lanes }];
            let y_step = n_channels + 3;
            let mut expected = vec![0.0_f32; n_pixels * y_step];
            for (pixel, y) in expected.chunks_exact_mut(y_step).enumerate() {
                for (c, y) in y.iter_mut().enumerate().take(n_channels) {
                    for Run { row, weight: weight_start, .. } in runs {
                        for at in 0..run_len {
                            let weight = weight[weight_start + at * n_lanes + c];
                            *y = x[row + pixel * x_step + at].mul_add(weight, *y);
                        }
                    }
                }
            }
            let name = format!("{n_pixels} pixels, {n_channels} channels");
            assert_same_bits(&name, &vec![0.0; expected.len()], &expected, |set, y| {
                set.run(Wide(Row {
                    x: Columns { values: &x, step: x_step, width: 0 },
                    weight: &weight,
                    runs: &runs,
                    padded: &mut [],
                    run_len,
                    x_step,
                    y,
                    y_step,
                    n_pixels,
                    n_lanes,
                    n_channels,
                    next: NextRows::default(),
                }))
            });
        }
    }
}
