//! The inner loops of the direct convolution: a row of the result, for one block of channels. `weight_tile.rs` has those
//! of the gradient of the weight.
//!
//! A kernel keeps the sums of a tile in registers: some neighbouring pixels times one to three vectors of channels. It
//! reads each vector of the weight once for all pixels of the tile, and it needs no matrix of patches.

use std::array::from_fn;

use pulp::{Simd, WithSimd};

use super::ahead::NextRows;
use crate::kernel::Real;
use crate::kernel::cpu::lanes::LANES;
use crate::kernel::cpu::simd::vectors_of_lanes;

/// Number of pixels of a tile of a narrow row. The planes of ImageNet's networks have multiples of 7 columns and those of
/// CIFAR's have multiples of 8, and tiles of 8 pixels cover both to at least seven eighths. Tiles of wide rows have other
/// sizes. No tile reads past the next multiple of this number, for which a packed row has columns.
pub const PIXELS: usize = 8;

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
    /// The memory that the next row needs. Each tile of a [`Narrow`] row prefetches a part.
    pub next: NextRows<'a, T>,
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
        let Row { x, weight, runs, weight_plane, y, y_step, n_pixels, n_channels, next, .. } =
            self.0;
        for first in (0..n_pixels).step_by(PIXELS) {
            next.prefetch(first / PIXELS);
            for vector in 0..vectors_of_lanes::<T, S>() {
                let mut sums = [T::splat(simd, T::ZERO); PIXELS];
                for &[x_start, weight_start] in runs {
                    let x = &x[x_start + first * STRIDE * LANES..];
                    let x = &x[..((PIXELS - 1) * STRIDE + TAPS) * LANES];
                    let of_member = |member: usize| {
                        &weight[weight_start + member * weight_plane..][..TAPS * LANES]
                    };
                    // The permutations need constant members, and compilers do not unroll a loop of this length.
                    macro_rules! add_members {
                        ($($member:literal)*) => {$(
                            let weight = of_member($member);
                            sums = add_terms::<T, S, G, TAPS, STRIDE>(
                                simd, x, weight, vector, $member, sums,
                            );
                        )*};
                    }
                    add_members!(0);
                    if G > 1 {
                        add_members!(1);
                    }
                    if G > 2 {
                        add_members!(2 3);
                    }
                    if G > 4 {
                        add_members!(4 5 6 7);
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
pub fn lanes_at<T>(x: &[T], column: usize) -> &[T; LANES] {
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

/// Computes tiles of `P` pixels times `V` vectors.
#[inline(always)]
fn wide<T: Real, S: Simd, const V: usize, const P: usize>(
    simd: S,
    row: Row<'_, T>,
    n_vectors: usize,
) {
    let Row { x, weight, runs, run_len, x_step, y, y_step, n_pixels, n_channels, .. } = row;
    let weight = T::vectors::<S>(weight);
    let width = LANES / vectors_of_lanes::<T, S>();
    for first in (0..n_pixels).step_by(P) {
        for vector in (0..n_vectors).step_by(V) {
            let mut sums = [[T::splat(simd, T::ZERO); V]; P];
            for &[x_start, weight_start] in runs {
                let x: [&[T]; P] =
                    from_fn(|pixel| &x[x_start + (first + pixel) * x_step..][..run_len]);
                let weight = &weight[weight_start / width..][..run_len * n_vectors];
                for (at, weight) in weight.chunks_exact(n_vectors).enumerate() {
                    let weight: &[_; V] = weight[vector..].first_chunk().expect("V vectors");
                    for pixel in 0..P {
                        let x = T::splat(simd, x[pixel][at]);
                        for v in 0..V {
                            sums[pixel][v] = T::mul_add(simd, x, weight[v], sums[pixel][v]);
                        }
                    }
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
    use super::*;
    use crate::kernel::cpu::simd::widest;

    /// Returns numbers whose products have many digits.
    fn numbers(n: usize) -> Vec<f32> {
        (0..n).map(|ix| (ix * ix % 1013) as f32 / 1013.0 - 0.4).collect()
    }

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
            let runs = [[0, 0], [x.len() / 2, run_len * n_lanes]];
            let y_step = n_channels + 3;
            let mut expected = vec![0.0_f32; n_pixels * y_step];
            for (pixel, y) in expected.chunks_exact_mut(y_step).enumerate() {
                for (c, y) in y.iter_mut().enumerate().take(n_channels) {
                    for [x_start, weight_start] in runs {
                        for at in 0..run_len {
                            let weight = weight[weight_start + at * n_lanes + c];
                            *y = x[x_start + pixel * x_step + at].mul_add(weight, *y);
                        }
                    }
                }
            }
            let check = |set: &str, run: &dyn Fn(Wide<'_, f32>)| {
                let mut y = vec![0.0; n_pixels * y_step];
                run(Wide(Row {
                    x: &x,
                    weight: &weight,
                    runs: &runs,
                    run_len,
                    weight_plane: 0,
                    x_step,
                    y: &mut y,
                    y_step,
                    n_pixels,
                    n_lanes,
                    n_channels,
                    next: NextRows::default(),
                }));
                assert!(y == expected, "{set}, {n_pixels} pixels, {n_channels} channels");
            };
            #[cfg(target_arch = "x86_64")]
            if let Some(v3) = pulp::x86::V3::try_new() {
                check("AVX2", &|row| Simd::vectorize(v3, row));
                check("the widest vectors", &|row| widest(row));
            }
        }
    }
}
