//! Rows of narrow groups.

use pulp::{Simd, WithSimd};

use super::row::{
    PIXELS, Row, Run, TileColumns, lanes_at, lanes_of_vector, store_lanes, vector_of_member,
};
use crate::kernel::Real;
use crate::kernel::cpu::lanes::LANES;
use crate::kernel::cpu::simd::vectors_of_lanes;

/// A row of groups of `G` channels. A run has `TAPS` neighbouring columns, and neighbouring pixels are `STRIDE` columns
/// apart.
///
/// Lane l of a column is channel l of the source. It is multiplied with G vectors of the weight: member m has the weights
/// from channel l to channel `l ^ m` of the result. So a pixel has G sums, and no column is shuffled. At the end, the lanes
/// of sum m are shuffled to `l ^ m`, and the sums are added.
pub struct Narrow<'a, T, const G: usize, const TAPS: usize, const STRIDE: usize>(pub Row<'a, T>);

impl<T: Real, const G: usize, const TAPS: usize, const STRIDE: usize> WithSimd
    for Narrow<'_, T, G, TAPS, STRIDE>
{
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // The sums of eight members, or of four with sixteen registers, stay in registers.
        match (S::REGISTER_COUNT >= 32, G) {
            (true, 1 | 2) => self.tiles::<S, PIXELS>(simd),
            (true, 4) | (false, 1 | 2) => self.tiles::<S, 4>(simd),
            (true, _) => self.tiles::<S, 3>(simd),
            (false, _) => self.tiles::<S, 2>(simd),
        }
    }
}

impl<T: Real, const G: usize, const TAPS: usize, const STRIDE: usize>
    Narrow<'_, T, G, TAPS, STRIDE>
{
    /// Computes tiles of `P` pixels.
    #[inline(always)]
    fn tiles<S: Simd, const P: usize>(self, simd: S) {
        let Row { x, weight, runs, padded, y, y_step, n_pixels, n_channels, next, .. } = self.0;
        for first in (0..n_pixels).step_by(P) {
            // The tile with the first of some [`PIXELS`] pixels prefetches their part.
            let part = first.div_ceil(PIXELS);
            if part * PIXELS < n_pixels.min(first + P) {
                next.prefetch(part);
            }
            // The last tile may overlap the one before it.
            let first = first.min(n_pixels.saturating_sub(P));
            let x = x.of_tile(runs, first * STRIDE, (P - 1) * STRIDE + TAPS, padded);
            for vector in 0..vectors_of_lanes::<T, S>() {
                let tile = Tile { x, weight, runs, vector };
                let sums = tile.sums::<S, G, TAPS, STRIDE, P>(simd);
                // An index that is not constant would keep the sums out of the registers.
                for pixel in 0..P {
                    if first + pixel < n_pixels {
                        let y = &mut y[(first + pixel) * y_step..];
                        store_lanes::<T, S>(vector, n_channels, sums[pixel], y);
                    }
                }
            }
        }
    }
}

/// A tile of a [`Narrow`] row.
#[derive(Clone, Copy)]
struct Tile<'a, T> {
    x: TileColumns<'a, T>,
    weight: &'a [T],
    runs: &'a [Run],
    /// The number of the vector of the result's lanes.
    vector: usize,
}

impl<T: Real> Tile<'_, T> {
    /// Returns the sums of `P` pixels over all members.
    #[inline(always)]
    fn sums<S: Simd, const G: usize, const TAPS: usize, const STRIDE: usize, const P: usize>(
        self,
        simd: S,
    ) -> [T::Vector<S>; P] {
        macro_rules! members {
            ($n:literal, $first:literal) => {
                self.members::<S, G, TAPS, STRIDE, P, $n, $first>(simd)
            };
        }
        match (S::REGISTER_COUNT >= 32, G) {
            (_, 1) => members!(1, 0),
            (_, 2) => members!(2, 0),
            (_, 4) => members!(4, 0),
            (true, 8) => members!(8, 0),
            (true, _) => add_shuffled::<T, S, 8, P>(simd, members!(8, 0), members!(8, 8)),
            (false, 8) => add_shuffled::<T, S, 4, P>(simd, members!(4, 0), members!(4, 4)),
            (false, _) => {
                let a = add_shuffled::<T, S, 4, P>(simd, members!(4, 0), members!(4, 4));
                let b = add_shuffled::<T, S, 4, P>(simd, members!(4, 8), members!(4, 12));
                add_shuffled::<T, S, 8, P>(simd, a, b)
            }
        }
    }

    /// Returns the sums over `N` members from number `FIRST` on, with lanes `l ^ FIRST`.
    #[inline(always)]
    fn members<
        S: Simd,
        const G: usize,
        const TAPS: usize,
        const STRIDE: usize,
        const P: usize,
        const N: usize,
        const FIRST: usize,
    >(
        self,
        simd: S,
    ) -> [T::Vector<S>; P] {
        let zero = [T::splat(simd, T::ZERO); P];
        let (mut s0, mut s1, mut s2, mut s3) = (zero, zero, zero, zero);
        let (mut s4, mut s5, mut s6, mut s7) = (zero, zero, zero, zero);
        for (ix, run) in self.runs.iter().enumerate() {
            let x = self.x.of_run(ix, run);
            let weight = &self.weight[run.weight..][..G * TAPS * LANES];
            // Compilers do not unroll a loop of this length.
            macro_rules! add {
                ($($sums:ident, $number:literal;)*) => {$(
                    if N > $number {
                        let member = FIRST + $number;
                        let weight = &weight[member * TAPS * LANES..][..TAPS * LANES];
                        let vector = vector_of_member::<T, S>(self.vector, member);
                        $sums = add_terms::<T, S, TAPS, STRIDE, P>(
                            simd, x, self.x.step, weight, vector, $sums,
                        );
                    }
                )*};
            }
            add!(s0, 0; s1, 1; s2, 2; s3, 3; s4, 4; s5, 5; s6, 6; s7, 7;);
        }
        if N > 1 {
            s0 = add_shuffled::<T, S, 1, P>(simd, s0, s1);
        }
        if N > 2 {
            s2 = add_shuffled::<T, S, 1, P>(simd, s2, s3);
            s0 = add_shuffled::<T, S, 2, P>(simd, s0, s2);
        }
        if N > 4 {
            s4 = add_shuffled::<T, S, 1, P>(simd, s4, s5);
            s6 = add_shuffled::<T, S, 1, P>(simd, s6, s7);
            s4 = add_shuffled::<T, S, 2, P>(simd, s4, s6);
            s0 = add_shuffled::<T, S, 4, P>(simd, s0, s4);
        }
        s0
    }
}

/// Adds the terms of one member of the groups to the sums of a tile.
#[inline(always)]
fn add_terms<T: Real, S: Simd, const TAPS: usize, const STRIDE: usize, const P: usize>(
    simd: S,
    x: &[T],
    step: usize,
    weight: &[T],
    vector: usize,
    mut sums: [T::Vector<S>; P],
) -> [T::Vector<S>; P] {
    for tap in 0..TAPS {
        let weight = T::vectors::<S>(lanes_at(weight, tap * LANES))[vector];
        for (pixel, sum) in sums.iter_mut().enumerate() {
            let x = T::vectors::<S>(lanes_at(x, (pixel * STRIDE + tap) * step))[vector];
            *sum = T::mul_add(simd, x, weight, *sum);
        }
    }
    sums
}

/// Returns the sums `a` plus the sums `b` with lanes `l ^ MASK`.
#[inline(always)]
fn add_shuffled<T: Real, S: Simd, const MASK: usize, const P: usize>(
    simd: S,
    mut a: [T::Vector<S>; P],
    b: [T::Vector<S>; P],
) -> [T::Vector<S>; P] {
    for (a, &b) in a.iter_mut().zip(&b) {
        // `members` has exchanged vectors of fewer lanes as a whole.
        let is_whole = MASK >= lanes_of_vector::<T, S>();
        let b = if is_whole { b } else { T::shuffle_xor::<S, MASK>(simd, b) };
        *a = T::add_vectors(simd, *a, b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::super::ahead::NextRows;
    use super::super::row::tests::{assert_same_bits, numbers};
    use super::super::row::{Columns, MAX_COLUMNS};
    use super::*;

    /// Returns the sums in the order of the kernel: over runs and columns for each member, and then over members in pairs.
    fn expected(
        x: impl Fn(usize, usize, usize) -> f32,
        weight: &[f32],
        [group, taps, n_pixels]: [usize; 3],
    ) -> Vec<f32> {
        let pixel = |pixel: usize| {
            let mut sums = vec![[0.0_f32; LANES]; group];
            for (run, weight) in weight.chunks_exact(group * taps * LANES).enumerate() {
                for (ix, &weight) in weight.iter().enumerate() {
                    let (member, tap, lane) = (ix / LANES / taps, ix / LANES % taps, ix % LANES);
                    let sum = &mut sums[member][lane];
                    *sum = x(run * n_pixels + pixel, tap, lane).mul_add(weight, *sum);
                }
            }
            let mut mask = 1;
            while mask < group {
                for member in (0..group).step_by(2 * mask) {
                    for lane in 0..LANES {
                        sums[member][lane] += sums[member + mask][lane ^ mask];
                    }
                }
                mask *= 2;
            }
            sums[0]
        };
        (0..n_pixels).flat_map(pixel).collect()
    }

    fn check<const G: usize, const TAPS: usize, const STRIDE: usize>() {
        for n_pixels in 1..=19 {
            // A column of padding on both sides. The block is the second of three.
            let width = ((n_pixels - 1) * STRIDE + TAPS).saturating_sub(2).max(1);
            let step = 3 * LANES;
            let values = numbers(2 * width * step);
            let weight = numbers(2 * G * TAPS * LANES);
            let runs = [0, 1].map(|run| Run {
                row: LANES + run * width * step,
                column: -1,
                weight: run * G * TAPS * LANES,
            });
            let x = |ix: usize, tap: usize, lane: usize| {
                let column = (ix % n_pixels * STRIDE + tap).wrapping_sub(1);
                let row = runs[ix / n_pixels].row;
                if column < width { values[row + column * step + lane] } else { 0.0 }
            };
            let expected = expected(x, &weight, [G, TAPS, n_pixels]);
            let name = format!("groups of {G}, {TAPS} taps, stride {STRIDE}, {n_pixels} pixels");
            assert_same_bits(&name, &vec![0.0; expected.len()], &expected, |set, y| {
                set.run(Narrow::<f32, G, TAPS, STRIDE>(Row {
                    x: Columns { values: &values, step, width },
                    weight: &weight,
                    runs: &runs,
                    padded: &mut [f32::NAN; 2 * MAX_COLUMNS * LANES],
                    run_len: 0,
                    x_step: 0,
                    y,
                    y_step: LANES,
                    n_pixels,
                    n_lanes: LANES,
                    n_channels: LANES,
                    next: NextRows::default(),
                }))
            });
        }
    }

    /// Every tile computes a pixel's sum in the same order, with the vectors of every instruction set.
    #[test]
    fn every_tile_of_a_narrow_row_has_the_same_bits() {
        check::<1, 3, 1>();
        check::<2, 3, 2>();
        check::<4, 3, 1>();
        check::<4, 1, 2>();
        check::<8, 3, 1>();
        check::<8, 3, 2>();
        check::<8, 2, 1>();
        check::<16, 3, 1>();
        check::<16, 3, 2>();
    }
}
