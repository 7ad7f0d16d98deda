//! Rows of the gradient of the input of narrow groups, with a stride of 2.

use pulp::{Simd, WithSimd};

use super::row::{PIXELS, Row, lanes_at, of_member, store_lanes};
use crate::kernel::Real;
use crate::kernel::cpu::lanes::LANES;
use crate::kernel::cpu::simd::vectors_of_lanes;

/// A row of the gradient of the input of groups of `G` channels, with a stride of 2. A run has two neighbouring columns,
/// under 3 columns of the kernel: pixel 2u lies under the second of them and reads column u, pixel 2u + 1 lies under the
/// others and reads columns u and u + 1.
///
/// Lane l of a vector of the weight is channel l of the result. A column is shuffled for each member of a group, and used
/// for three terms.
pub struct NarrowPairs<'a, T, const G: usize> {
    /// The row with the pixels 2u, and their weight.
    pub row: Row<'a, T>,
    /// The weight of the pixels 2u + 1. It has twice as many elements for each run.
    pub odd_weight: &'a [T],
    /// The number of pixels 2u + 1.
    pub n_odd: usize,
}

impl<T: Real, const G: usize> WithSimd for NarrowPairs<'_, T, G> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        if S::REGISTER_COUNT < 32 {
            return self.tiles::<S, 2>(simd);
        }
        self.tiles::<S, 4>(simd);
    }
}

impl<T: Real, const G: usize> NarrowPairs<'_, T, G> {
    /// Computes tiles of `P` pairs of pixels.
    #[inline(always)]
    fn tiles<S: Simd, const P: usize>(self, simd: S) {
        let Row { x, weight, runs, padded, y, y_step, n_pixels, n_channels, next, .. } = self.row;
        for first in (0..n_pixels).step_by(P) {
            if first % PIXELS == 0 {
                next.prefetch(first / PIXELS);
            }
            // The last tile may overlap the one before it.
            let first = first.min(n_pixels.saturating_sub(P));
            let x = x.of_tile(runs, first, P + 1, padded);
            let step = x.step;
            for vector in 0..vectors_of_lanes::<T, S>() {
                let mut sums = [[T::splat(simd, T::ZERO); P]; 3];
                for (ix, run) in runs.iter().enumerate() {
                    let x = x.of_run(ix, run);
                    let weight = &weight[run.weight..][..G * LANES];
                    let odd_weight = &self.odd_weight[2 * run.weight..][..2 * G * LANES];
                    // Compilers do not unroll a loop of this length.
                    macro_rules! add {
                        ($($member:literal)*) => {$(
                            if $member < G {
                                let vector_at = |weight, ix: usize| {
                                    T::vectors::<S>(lanes_at(weight, ix * LANES))[vector]
                                };
                                let weights = [
                                    vector_at(weight, $member),
                                    vector_at(odd_weight, 2 * $member),
                                    vector_at(odd_weight, 2 * $member + 1),
                                ];
                                let lanes = [vector, $member];
                                sums = add_pairs::<T, S, P>(simd, x, step, lanes, weights, sums);
                            }
                        )*};
                    }
                    add!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
                }
                let [even, mut odd, next_odd] = sums;
                for (odd, &next_odd) in odd.iter_mut().zip(&next_odd) {
                    *odd = T::add_vectors(simd, *odd, next_odd);
                }
                for pixel in 0..P {
                    let at = first + pixel;
                    if at < n_pixels {
                        store_lanes::<T, S>(vector, n_channels, even[pixel], &mut y[at * y_step..]);
                    }
                    if at < self.n_odd {
                        let y = &mut y[at * y_step + y_step / 2..];
                        store_lanes::<T, S>(vector, n_channels, odd[pixel], y);
                    }
                }
            }
        }
    }
}

/// Adds the terms of one member of the groups to the sums of a tile: of the pixels 2u, of the pixels 2u + 1 over columns u,
/// and of these over columns u + 1. Each has a weight.
#[inline(always)]
fn add_pairs<T: Real, S: Simd, const P: usize>(
    simd: S,
    x: &[T],
    step: usize,
    [vector, member]: [usize; 2],
    weights: [T::Vector<S>; 3],
    [mut even, mut odd, mut next_odd]: [[T::Vector<S>; P]; 3],
) -> [[T::Vector<S>; P]; 3] {
    for column in 0..P + 1 {
        let x = of_member::<T, S>(simd, lanes_at(x, column * step), vector, member);
        if column > 0 {
            next_odd[column - 1] = T::mul_add(simd, x, weights[2], next_odd[column - 1]);
        }
        if column < P {
            even[column] = T::mul_add(simd, x, weights[0], even[column]);
            odd[column] = T::mul_add(simd, x, weights[1], odd[column]);
        }
    }
    [even, odd, next_odd]
}

#[cfg(test)]
mod tests {
    use super::super::ahead::NextRows;
    use super::super::row::tests::{assert_same_bits, numbers};
    use super::super::row::{Columns, MAX_COLUMNS, Run};
    use super::*;

    fn check<const G: usize>() {
        for n_pixels in 1_usize..=11 {
            let (step, n_even) = (2 * LANES, n_pixels.div_ceil(2));
            // The row ends with padding.
            let values = numbers(2 * n_even * step);
            let (weight, odd_weight) = (numbers(2 * G * LANES), numbers(4 * G * LANES));
            let runs = [0, 1].map(|run| Run {
                row: LANES + run * n_even * step,
                column: 0,
                weight: run * G * LANES,
            });
            let x = |run: &Run, column: usize, lane: usize| -> f32 {
                if column < n_even { values[run.row + column * step + lane] } else { 0.0 }
            };
            let sum = |pixel: usize, column: usize, lane: usize| {
                let mut sum: f32 = 0.0;
                for (ix, run) in runs.iter().enumerate() {
                    for member in 0..G {
                        let at = ix * G + member;
                        let weight = match pixel % 2 {
                            0 => weight[at * LANES + lane],
                            _ => odd_weight[(2 * at + column) * LANES + lane],
                        };
                        sum = x(run, pixel / 2 + column, lane ^ member).mul_add(weight, sum);
                    }
                }
                sum
            };
            let pixel = |ix: usize| match (ix / LANES, ix % LANES) {
                (pixel, lane) if pixel % 2 == 0 => sum(pixel, 0, lane),
                (pixel, lane) => sum(pixel, 0, lane) + sum(pixel, 1, lane),
            };
            let expected: Vec<f32> = (0..n_pixels * LANES).map(pixel).collect();
            let name = format!("groups of {G}, {n_pixels} pixels");
            assert_same_bits(&name, &vec![0.0; expected.len()], &expected, |set, y| {
                let row = Row {
                    x: Columns { values: &values, step, width: n_even },
                    weight: &weight,
                    runs: &runs,
                    padded: &mut [f32::NAN; 2 * MAX_COLUMNS * LANES],
                    run_len: 0,
                    x_step: 0,
                    y,
                    y_step: 2 * LANES,
                    n_pixels: n_even,
                    n_lanes: LANES,
                    n_channels: LANES,
                    next: NextRows::default(),
                };
                set.run(NarrowPairs::<f32, G> { row, odd_weight: &odd_weight, n_odd: n_pixels / 2 })
            });
        }
    }

    /// Every tile computes a pixel's sum in the same order, with the vectors of every instruction set.
    #[test]
    fn every_tile_of_pairs_has_the_same_bits() {
        check::<1>();
        check::<2>();
        check::<4>();
        check::<8>();
        check::<16>();
    }
}
