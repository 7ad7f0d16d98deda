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

use std::array::from_fn;
use std::iter::successors;
use std::ops::Range;

use super::partitions::{PARTITIONS_PER_GROUP, Partitions};
use crate::kernel::cpu::lanes::{LANES, lanes, rest, store, whole};
use crate::kernel::cpu::parallel::{chunk, for_each_chunk};
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
    let channels = mean_m2.len() / 2;
    let (mean, m2) = mean_m2.split_at_mut(channels);
    of_channels::<T, LANES>(whole(channels), x, mean, m2);
    of_channels::<T, 1>(rest(channels), x, mean, m2);
}

/// Computes [`of_rows`] for some channels, `L` channels at a time.
fn of_channels<T: Real, const L: usize>(
    channels: Range<usize>,
    x: &[T],
    mean: &mut [T],
    m2: &mut [T],
) {
    let n_channels = mean.len();
    let n = T::from_count(x.len() / n_channels);
    for c in channels.step_by(L) {
        let rows = (c..x.len()).step_by(n_channels);
        // The sum adds deviations from the first row. These deviations are small even if the values are large, so the
        // mean keeps its digits.
        let shift: [T; L] = lanes(x, c);
        let mut sum = [T::ZERO; L];
        for at in rows.clone() {
            let x: [T; L] = lanes(x, at);
            (0..L).for_each(|i| sum[i] += x[i] - shift[i]);
        }
        let means: [T; L] = from_fn(|i| shift[i] + sum[i] / n);
        let mut squares = [T::ZERO; L];
        for at in rows {
            let x: [T; L] = lanes(x, at);
            for i in 0..L {
                let deviation = x[i] - means[i];
                squares[i] += deviation * deviation;
            }
        }
        store(mean, c, means);
        store(m2, c, squares);
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
