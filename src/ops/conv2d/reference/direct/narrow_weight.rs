//! The gradient of the weight of narrow groups.

use pulp::{Simd, WithSimd};

use super::row::{Run, lanes_at, of_member};
use super::weight_rows::{TOGETHER, WeightRows};
use crate::kernel::Real;
use crate::kernel::cpu::lanes::LANES;
use crate::kernel::cpu::simd::vectors_of_lanes;

/// The rows' part of the gradient of the weight for groups of `G` channels and `TAPS` neighbouring columns.
///
/// Lane l of a column is channel l of x. It is multiplied with G vectors: member m has channel `l ^ m` of d_y in lane l. So
/// the sum of member m has the weights from channel l to channel `l ^ m`.
pub struct NarrowWeight<'a, T, const G: usize, const TAPS: usize, const STRIDE: usize>(
    pub WeightRows<'a, T>,
);

impl<T: Real, const G: usize, const TAPS: usize, const STRIDE: usize> WithSimd
    for NarrowWeight<'_, T, G, TAPS, STRIDE>
{
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        macro_rules! members {
            ($n:literal: $($first:literal)*) => {{ $( self.members::<S, $n, $first>(simd); )* }};
        }
        // 24 sums of eight members stay in registers, or 12 of four with sixteen registers.
        match (S::REGISTER_COUNT >= 32, G) {
            (_, ..=4) => members!(4: 0),
            (true, _) => members!(8: 0),
            (false, _) => members!(4: 0 4),
        }
    }
}

impl<T: Real, const G: usize, const TAPS: usize, const STRIDE: usize>
    NarrowWeight<'_, T, G, TAPS, STRIDE>
{
    /// Adds the terms of `N` members from number `FIRST` on. Groups of fewer members divide the sums by pixel.
    #[inline(always)]
    fn members<S: Simd, const N: usize, const FIRST: usize>(&mut self, simd: S) {
        let WeightRows { x, d_y, rows, column, n_pixels, d_weight_plane, next, .. } = self.0;
        let padded = &mut *self.0.padded;
        let n_vectors = vectors_of_lanes::<T, S>();
        let d_weight = T::vectors_mut::<S>(self.0.d_weight);
        for vector in 0..n_vectors {
            let at = |member: usize, tap: usize| {
                ((FIRST + member) * (d_weight_plane / LANES) + tap) * n_vectors + vector
            };
            let mut sums = [[T::splat(simd, T::ZERO); TAPS]; N];
            for member in 0..N.min(G) {
                for tap in 0..TAPS {
                    sums[member][tap] = d_weight[at(member, tap)];
                }
            }
            for (row, &[x_row, d_y_row]) in rows.iter().enumerate() {
                let run = Run { row: x_row, column, weight: 0 };
                let whole = n_pixels / TOGETHER * TOGETHER;
                // The vectors of a block have the same cache lines.
                let prefetch = |pixel: usize| {
                    if vector == 0 && FIRST == 0 {
                        next.prefetch(row * n_pixels.div_ceil(TOGETHER) + pixel / TOGETHER);
                    }
                };
                macro_rules! add_pixels {
                    ($n:expr, $pixel:ident) => {
                        let n_columns = ($n - 1) * STRIDE + TAPS;
                        let x = x.of_tile(&[run], $pixel * STRIDE, n_columns, padded);
                        let (x, step) = (x.of_run(0, &run), x.step);
                        let d_y = &d_y[d_y_row + $pixel * self.0.d_y_step..];
                        let pixels = Pixels { x, step, d_y, d_y_step: self.0.d_y_step, vector };
                        sums = pixels.add::<S, G, TAPS, STRIDE, { $n }, N, FIRST>(simd, sums);
                    };
                }
                for pixel in (0..whole).step_by(TOGETHER) {
                    prefetch(pixel);
                    add_pixels!(TOGETHER, pixel);
                }
                if whole < n_pixels {
                    prefetch(whole);
                }
                for pixel in whole..n_pixels {
                    add_pixels!(1, pixel);
                }
            }
            // The sums of narrower groups are divided by pixel.
            let mut n_sums = N;
            while n_sums > G {
                n_sums /= 2;
                let (kept, added) = sums.split_at_mut(n_sums);
                for (kept, added) in kept.iter_mut().zip(added) {
                    for (kept, &mut added) in kept.iter_mut().zip(added) {
                        *kept = T::add_vectors(simd, *kept, added);
                    }
                }
            }
            for member in 0..N.min(G) {
                for tap in 0..TAPS {
                    d_weight[at(member, tap)] = sums[member][tap];
                }
            }
        }
    }
}

/// Some neighbouring pixels of a [`NarrowWeight`].
struct Pixels<'a, T> {
    /// The columns under the pixels.
    x: &'a [T],
    /// The distance of neighbouring columns.
    step: usize,
    d_y: &'a [T],
    /// The distance of neighbouring pixels of d_y.
    d_y_step: usize,
    /// The number of the vector of the lanes of x.
    vector: usize,
}

impl<T: Real> Pixels<'_, T> {
    /// Adds the terms of `P` pixels to the sums.
    #[inline(always)]
    fn add<
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
        mut sums: [[T::Vector<S>; TAPS]; N],
    ) -> [[T::Vector<S>; TAPS]; N] {
        // Compilers do not unroll a loop of this length.
        macro_rules! add {
            ($($number:literal)*) => {$(
                if $number < N {
                    sums[$number % N] = self.add_member::<S, G, TAPS, STRIDE, P, N>(
                        simd,
                        FIRST + $number % G,
                        $number / G,
                        sums[$number % N],
                    );
                }
            )*};
        }
        add!(0 1 2 3 4 5 6 7);
        sums
    }

    /// Adds the terms of one member to its sums: those of all pixels, or, of groups of fewer than `N` channels, those of
    /// every second or fourth pixel from number `first` on.
    #[inline(always)]
    fn add_member<
        S: Simd,
        const G: usize,
        const TAPS: usize,
        const STRIDE: usize,
        const P: usize,
        const N: usize,
    >(
        &self,
        simd: S,
        member: usize,
        first: usize,
        mut sums: [T::Vector<S>; TAPS],
    ) -> [T::Vector<S>; TAPS] {
        for pixel in 0..P {
            if pixel % (N / G).max(1) == first {
                let d_y = lanes_at(self.d_y, pixel * self.d_y_step);
                let d_y = of_member::<T, S>(simd, d_y, self.vector, member);
                for (tap, sum) in sums.iter_mut().enumerate() {
                    let x = lanes_at(self.x, (pixel * STRIDE + tap) * self.step);
                    *sum = T::mul_add(simd, T::vectors::<S>(x)[self.vector], d_y, *sum);
                }
            }
        }
        sums
    }
}

#[cfg(test)]
mod tests {
    use super::super::ahead::NextRows;
    use super::super::row::Columns;
    use super::super::row::tests::{assert_same_bits, numbers};
    use super::super::weight_rows::MAX_PIXEL_COLUMNS;
    use super::*;

    fn check_narrow<const G: usize, const TAPS: usize, const STRIDE: usize>() {
        for n_pixels in 1..=11 {
            // A column of padding on both sides. The block is the second of three.
            let width = ((n_pixels - 1) * STRIDE + TAPS).saturating_sub(2).max(1);
            let step = 3 * LANES;
            let (x, d_y) = (numbers(2 * width * step), numbers(2 * n_pixels * step));
            let rows = [0, 1].map(|row| [row * width, row * n_pixels].map(|at| LANES + at * step));
            let before = numbers(G * TAPS * LANES);
            let x_at = |row: usize, column: usize, lane: usize| match column.wrapping_sub(1) {
                column if column < width => x[row + column * step + lane],
                _ => 0.0,
            };
            // Groups of fewer than four channels have several sums of a member, one after another.
            let n_parts = (4 / G).max(1);
            let weight = |ix: usize| {
                let (member, tap, lane) = (ix / LANES / TAPS, ix / LANES % TAPS, ix % LANES);
                let mut sums = vec![0.0_f32; n_parts];
                sums[0] = before[ix];
                for [x_row, d_y_row] in rows {
                    for pixel in 0..n_pixels {
                        let is_whole = pixel < n_pixels / TOGETHER * TOGETHER;
                        let sum = &mut sums[if is_whole { pixel % n_parts } else { 0 }];
                        let x = x_at(x_row, pixel * STRIDE + tap, lane);
                        *sum = x.mul_add(d_y[d_y_row + pixel * step + (lane ^ member)], *sum);
                    }
                }
                while sums.len() > 1 {
                    let added = sums.split_off(sums.len() / 2);
                    sums.iter_mut().zip(added).for_each(|(sum, added)| *sum += added);
                }
                sums[0]
            };
            let expected: Vec<f32> = (0..before.len()).map(weight).collect();
            let name = format!("groups of {G}, {TAPS} taps, stride {STRIDE}, {n_pixels} pixels");
            assert_same_bits(&name, &before, &expected, |set, d_weight| {
                set.run(NarrowWeight::<f32, G, TAPS, STRIDE>(WeightRows {
                    x: Columns { values: &x, step, width },
                    d_y: &d_y,
                    d_y_step: step,
                    rows: &rows,
                    column: -1,
                    padded: &mut [f32::NAN; MAX_PIXEL_COLUMNS * LANES],
                    n_pixels,
                    n_channels: LANES,
                    x_step: 0,
                    run_len: 0,
                    d_weight,
                    d_weight_plane: TAPS * LANES,
                    next: NextRows::default(),
                }))
            });
        }
    }

    #[test]
    fn every_tile_of_narrow_weights_has_the_same_bits() {
        check_narrow::<1, 3, 1>();
        check_narrow::<2, 3, 2>();
        check_narrow::<4, 3, 1>();
        check_narrow::<4, 1, 2>();
        check_narrow::<8, 3, 1>();
        check_narrow::<8, 3, 2>();
    }
}
