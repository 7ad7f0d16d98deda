//! Long sums over rows: the rows are divided into partitions, each partition gives a partial sum, and the partial sums
//! are added in order.

use std::ops::Range;

use crate::kernel::Real;
use crate::kernel::cpu::parallel::{for_each_chunk, for_each_chunk_of_two};

/// Consecutive rows, divided into partitions of equal length. The last partition may be shorter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Partitions {
    /// Number of rows in all.
    pub n_rows: usize,
    /// Number of rows of a partition.
    pub rows_each: usize,
}

/// Number of partitions that one invocation merges. With more, the merge would take longer than the partial sums.
pub(super) const PARTITIONS_PER_GROUP: usize = 32;

impl Partitions {
    /// Returns the partitions of a long sum: at most 1,024 partitions, each of at least 64 rows. With 1,024 partitions,
    /// a GPU has enough invocations to read memory at full speed. The partitions depend on the number of rows alone, so
    /// the order of the sum is the same on every device.
    pub fn of_sum(n_rows: usize) -> Self {
        Self { n_rows, rows_each: n_rows.div_ceil(1024).max(64) }
    }

    /// Returns the number of partitions.
    pub fn count(self) -> usize {
        self.n_rows.div_ceil(self.rows_each)
    }

    /// Returns the rows of partition `ix`.
    pub fn rows(self, ix: usize) -> Range<usize> {
        let first = ix * self.rows_each;
        first..(first + self.rows_each).min(self.n_rows)
    }

    /// Returns the same rows in partitions that are 32 times as long. Each of these long partitions is a group of 32
    /// partitions, which are merged first. Returns `None` if there are at most 32 partitions, which form one group.
    pub fn groups(self) -> Option<Self> {
        let groups = Self { rows_each: self.rows_each * PARTITIONS_PER_GROUP, ..self };
        (self.count() > PARTITIONS_PER_GROUP).then_some(groups)
    }
}

/// Returns the number of partial sums that [`sum_rows`] writes for `n_sums` sums.
pub(crate) fn n_partials(n_rows: usize, n_sums: usize) -> usize {
    Partitions::of_sum(n_rows).count() * n_sums
}

/// Computes `totals.len()` sums over rows. Each task of the thread pool writes the sums over one partition to
/// `partials`. Then the partial sums are added in order. `add` adds the terms of a range of rows to the given sums.
pub(crate) fn sum_rows<T: Real>(
    n_rows: usize,
    totals: &mut [T],
    partials: &mut [T],
    add: &(dyn Fn(Range<usize>, &mut [T]) + Sync),
) {
    let partitions = Partitions::of_sum(n_rows);
    let partials = &mut partials[..n_partials(n_rows, totals.len())];
    for_each_chunk(partials, totals.len(), &|partition, sums| {
        sums.fill(T::ZERO);
        add(partitions.rows(partition), sums);
    });
    add_partials(totals, partials);
}

/// Overwrites rows and adds their terms to sums; the arguments are the range of the rows, the rows, and the sums.
type AddWriting<'a, T> = dyn Fn(Range<usize>, &mut [T], &mut [T]) + Sync + 'a;

/// Computes sums as [`sum_rows`] does, over the rows of `written`, `[rows, row_length]`. `add` also gets these rows of
/// `written`, and overwrites them.
pub(crate) fn sum_rows_writing<T: Real>(
    written: &mut [T],
    row_length: usize,
    totals: &mut [T],
    partials: &mut [T],
    add: &AddWriting<'_, T>,
) {
    let partitions = Partitions::of_sum(written.len() / row_length);
    let partials = &mut partials[..n_partials(partitions.n_rows, totals.len())];
    let written = (written, partitions.rows_each * row_length);
    for_each_chunk_of_two((partials, totals.len()), written, &|partition, sums, written| {
        sums.fill(T::ZERO);
        add(partitions.rows(partition), written, sums);
    });
    add_partials(totals, partials);
}

/// Adds the partial sums in order.
fn add_partials<T: Real>(totals: &mut [T], partials: &[T]) {
    totals.fill(T::ZERO);
    for partial in partials.chunks(totals.len()) {
        totals.iter_mut().zip(partial).for_each(|(total, &p)| *total += p);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_cover_all_rows_once() {
        for n_rows in [1, 63, 64, 65, 65_536, 65_537, 524_288] {
            let partitions = Partitions::of_sum(n_rows);
            assert!(partitions.count() <= 1024);
            let lengths = (0..partitions.count()).map(|ix| partitions.rows(ix).len());
            assert_eq!(lengths.clone().sum::<usize>(), n_rows);
            assert!(lengths.min() > Some(0));
        }
    }
}
