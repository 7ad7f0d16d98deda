//! The mean and M2 of every channel in every partition of the rows, and their merge. M2 is the sum of squared
//! deviations from the mean, so the variance is M2 / n.
//!
//! Two disjoint sets of rows, A and B, merge by the formula of Chan, Golub and LeVeque (1979):
//!
//! ```text
//! delta = mean_B − mean_A          n = n_A + n_B
//! mean  = mean_A + delta · n_B / n
//! M2    = M2_A + M2_B + delta² · n_A · n_B / n
//! ```
//!
//! The means and M2 of partitions are one tensor, `[partitions, 2, C]`: for each partition the means, then M2. Either
//! the [`batch_norm`](super::batch_norm) computes this tensor, or the convolution before it.
//!
//! Shader: `shaders/shared/mean_m2.wgsl`. Derivation: `docs/ops/batch_norm.md`.

use std::iter::successors;
use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::partitions::{PARTITIONS_PER_GROUP, Partitions};
use crate::kernel::cpu::lanes::LANES;
use crate::kernel::cpu::parallel::{chunk, for_each_chunk};
use crate::kernel::cpu::simd::{vectors_of_lanes, widest};
use crate::kernel::{Binding, Launch, Real, Shader, grid};

/// Returns the shape of the means and M2 of partitions, `[partitions, 2, C]`.
pub(super) fn shape(partitions: Partitions, channels: usize) -> [usize; 3] {
    [partitions.count(), 2, channels]
}

/// Appends the dispatch that computes mean and M2 of every partition of `x`, a matrix of rows and channels.
pub(super) fn launch(
    launch: Launch,
    partitions: Partitions,
    channels: usize,
    x: Binding,
    mean_m2: Binding,
) -> Launch {
    let shader = Shader::new("shared/mean_m2").constants(&[
        ("ROWS", partitions.n_rows),
        ("CHANNELS", channels),
        ("ROWS_PER_PARTITION", partitions.rows_each),
        ("N_PARTITIONS", partitions.count()),
    ]);
    launch.then(shader, &[x, mean_m2], grid(partitions.count() * channels))
}

/// Computes mean and M2 of every partition of `x`. This function is the CPU reference of [`launch`].
pub(super) fn of_partitions<T: Real>(
    x: &[T],
    partitions: Partitions,
    channels: usize,
    mean_m2: &mut [T],
) {
    for_each_chunk(mean_m2, 2 * channels, &|partition, mean_m2| {
        of_rows(chunk(x, partition, partitions.rows_each * channels), mean_m2);
    });
}

/// Computes mean and M2 of the rows of `x` and writes them to `mean_m2`, `[2, C]`. One pass over the rows computes the
/// means, and a second pass computes M2.
pub(super) fn of_rows<T: Real>(x: &[T], mean_m2: &mut [T]) {
    let (mean, m2) = mean_m2.split_at_mut(mean_m2.len() / 2);
    widest(OfRows { x, mean, m2 });
}

/// Computes [`of_rows`]. The rows are usually in a core's own cache, from which neighbouring vectors are read faster: with
/// AVX-512, 64 rows of 1,024 channels at 30 GB/s four vectors at a time, and at 10 one at a time.
struct OfRows<'a, T> {
    /// The rows, `[rows, C]`.
    x: &'a [T],
    mean: &'a mut [T],
    m2: &'a mut [T],
}

impl<T: Real> WithSimd for OfRows<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let width = LANES / vectors_of_lanes::<T, S>();
        let (wide, n_channels) = (4 * width, self.mean.len());
        let in_wide = n_channels / wide * wide;
        let in_vectors = n_channels / width * width;
        for first in (0..in_wide).step_by(wide) {
            self.vectors::<S, 4>(simd, first..first + wide);
        }
        for first in (in_wide..in_vectors).step_by(width) {
            self.vectors::<S, 1>(simd, first..first + width);
        }
        (in_vectors..n_channels).for_each(|channel| self.channel(channel));
    }
}

impl<T: Real> OfRows<'_, T> {
    /// Computes `V` vectors of channels. A multiply-add rounds as a sum if a factor is 1 or -1, and as a product if 0 is
    /// added. So every instruction set has the bits of [`Self::channel`].
    #[inline(always)]
    fn vectors<S: Simd, const V: usize>(&mut self, simd: S, channels: Range<usize>) {
        fn first<T: Real, S: Simd, const V: usize>(values: &[T]) -> &[T::Vector<S>; V] {
            T::vectors::<S>(values).first_chunk().expect("V vectors of channels")
        }
        let Self { x, mean, m2 } = self;
        let rows = x.chunks_exact(mean.len()).map(|row| first::<T, S, V>(&row[channels.clone()]));
        let [zero, one, minus_one] = [T::ZERO, T::ONE, -T::ONE].map(|c| T::splat(simd, c));
        // The sum adds deviations from the first row. These deviations are small even if the values are large, so the
        // mean keeps its digits.
        let shift = first::<T, S, V>(&x[channels.clone()]);
        let mut sums = [zero; V];
        for x in rows.clone() {
            for v in 0..V {
                let deviation = T::mul_add(simd, shift[v], minus_one, x[v]);
                sums[v] = T::mul_add(simd, deviation, one, sums[v]);
            }
        }
        let n = T::from_count(x.len() / mean.len());
        let mean = &mut mean[channels.clone()];
        T::vectors_mut::<S>(mean).copy_from_slice(&sums);
        mean.iter_mut().zip(&x[channels.clone()]).for_each(|(mean, &shift)| {
            *mean = shift + *mean / n;
        });
        let mean = first::<T, S, V>(mean);
        let mut squares = [zero; V];
        for x in rows {
            for v in 0..V {
                let deviation = T::mul_add(simd, mean[v], minus_one, x[v]);
                let square = T::mul_add(simd, deviation, deviation, zero);
                squares[v] = T::mul_add(simd, square, one, squares[v]);
            }
        }
        T::vectors_mut::<S>(&mut m2[channels]).copy_from_slice(&squares);
    }

    /// Computes one channel.
    fn channel(&mut self, channel: usize) {
        let Self { x, mean, m2 } = self;
        let rows = x[channel..].iter().step_by(mean.len());
        let (shift, n) = (x[channel], T::from_count(x.len() / mean.len()));
        mean[channel] = shift + rows.clone().fold(T::ZERO, |sum, &x| sum + (x - shift)) / n;
        m2[channel] = rows.fold(T::ZERO, |sum, &x| {
            let deviation = x - mean[channel];
            sum + deviation * deviation
        });
    }
}

/// Returns the number of elements of scratch memory that [`merge`] needs.
pub(super) fn merge_scratch(partitions: Partitions, channels: usize) -> usize {
    let levels = successors(partitions.groups(), |groups| groups.groups());
    levels.map(|groups| groups.count() * 2 * channels).sum()
}

/// Merges all partitions into one `mean` and one `m2`, each `[C]`. If there are more than [`PARTITIONS_PER_GROUP`]
/// partitions, groups of partitions are merged first, and then the groups, as on a GPU. A single chain of thousands of
/// merges would lose the last digits of the mean.
pub(super) fn merge<T: Real>(
    partitions: Partitions,
    mean_m2: &[T],
    scratch: &mut [T],
    mean: &mut [T],
    m2: &mut [T],
) {
    let Some(groups) = partitions.groups() else {
        return merge_group(partitions, 0, mean_m2, mean, m2);
    };
    let channels = mean.len();
    let (merged, scratch) = scratch.split_at_mut(groups.count() * 2 * channels);
    for_each_chunk(merged, 2 * channels, &|ix, group| {
        let members = chunk(mean_m2, ix, PARTITIONS_PER_GROUP * 2 * channels);
        let (mean, m2) = group.split_at_mut(channels);
        merge_group(partitions, ix * PARTITIONS_PER_GROUP, members, mean, m2);
    });
    merge(groups, merged, scratch, mean, m2);
}

/// Merges the partitions in `mean_m2`, the first of which has number `first`, one after another. This function is the
/// CPU reference of `shaders/batch_norm/merge_mean_m2.wgsl`.
fn merge_group<T: Real>(
    partitions: Partitions,
    first: usize,
    mean_m2: &[T],
    mean: &mut [T],
    m2: &mut [T],
) {
    let channels = mean.len();
    let (head, others) = mean_m2.split_at(2 * channels);
    mean.copy_from_slice(&head[..channels]);
    m2.copy_from_slice(&head[channels..]);
    let n_rows = |partition: usize| T::from_count(partitions.rows(partition).len());
    let mut n_a = n_rows(first);
    for (ix, b) in others.chunks(2 * channels).enumerate() {
        let (mean_b, m2_b) = b.split_at(channels);
        let n_b = n_rows(first + 1 + ix);
        let n = n_a + n_b;
        for c in 0..channels {
            let delta = mean_b[c] - mean[c];
            mean[c] += delta * (n_b / n);
            m2[c] += m2_b[c] + delta * delta * (n_a * n_b / n);
        }
        n_a = n;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Vectors of every instruction set, and the channels after the last vector, have the bits of a sum in f32.
    #[test]
    fn every_number_of_channels_has_the_same_bits() {
        for n_channels in [1, 3, 16, 20, 64, 100, 163] {
            let x: Vec<f32> = (0..5 * n_channels).map(|ix| (ix * ix % 1013) as f32 / 7.0).collect();
            let mut expected = vec![0.0; 2 * n_channels];
            let (mean, m2) = expected.split_at_mut(n_channels);
            let mut by_channel = OfRows { x: &x, mean, m2 };
            (0..n_channels).for_each(|channel| by_channel.channel(channel));
            let check = |set: &str, run: &dyn Fn(OfRows<'_, f32>)| {
                let mut mean_m2 = vec![0.0; 2 * n_channels];
                let (mean, m2) = mean_m2.split_at_mut(n_channels);
                run(OfRows { x: &x, mean, m2 });
                assert!(mean_m2 == expected, "{set}, {n_channels} channels");
            };
            check("the widest vectors", &|rows| widest(rows));
            check("no vectors", &|rows| rows.with_simd(pulp::Scalar::new()));
            #[cfg(target_arch = "x86_64")]
            if let Some(v3) = pulp::x86::V3::try_new() {
                check("AVX2", &|rows| Simd::vectorize(v3, rows));
            }
        }
    }

    /// 1,024 partitions of two rows, 1,000 ± 1, with a mean that grows a little from one partition to the next.
    #[test]
    fn a_merge_of_many_partitions_keeps_the_digits_of_a_large_mean() {
        let n = 1024;
        let partitions = Partitions { n_rows: 2 * n, rows_each: 2 };
        let shift = |partition: usize| (partition as f64 / 512.0 - 1.0) * 0.5;
        let mean_m2: Vec<f32> = (0..n).flat_map(|p| [(1000.0 + shift(p)) as f32, 2.0]).collect();
        let mut scratch = vec![0.0; merge_scratch(partitions, 1)];
        let (mut mean, mut m2) = ([0.0], [0.0]);
        merge(partitions, &mean_m2, &mut scratch, &mut mean, &mut m2);
        let exact_mean = mean_m2.chunks(2).map(|s| f64::from(s[0])).sum::<f64>() / n as f64;
        let term = |s: &[f32]| 2.0 + 2.0 * (f64::from(s[0]) - exact_mean).powi(2);
        let exact_m2 = mean_m2.chunks(2).map(term).sum::<f64>();
        // Two neighbouring f32 near 1,000 differ by 6e-5. The tolerance is less than two of these units.
        assert!((f64::from(mean[0]) - exact_mean).abs() < 1e-4, "{} {exact_mean}", mean[0]);
        assert!((f64::from(m2[0]) / exact_m2 - 1.0).abs() < 1e-5, "{} {exact_m2}", m2[0]);
    }
}
