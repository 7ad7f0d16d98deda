//! The sum of a step's results over all ranks, with the bits of one rank.
//!
//! Each rank has the sums of the largest nodes of the [tree](super::tree) that lie in its part of the shards. The flat
//! buffer of results is cut into one slice for each rank. A rank receives its slice of all sums, adds them up the tree, and
//! sends the total of its slice to all others:
//!
//! ```text
//!             rank 0    rank 1    rank 2    rank 3
//! sums        a0..a3    b0..b3    c0..c3    d0..d3      one for each rank, of four slices each
//! exchange    a0 b0 c0 d0   a1 b1 c1 d1   ...           slice r goes to rank r
//! add         (a0+b0)+(c0+d0)   (a1+b1)+(c1+d1)   ...   the tree decides the order
//! exchange    every rank has all four totals
//! ```
//!
//! With one sum for each rank, a rank sends 2 (R - 1) / R times the buffer: as much as in an ordinary all-reduce.

use std::ops::Range;

use super::Ranks;
use super::tree::{self, Carry, carries};

/// Returns the shards of a rank: contiguous, and as many as those of every other rank, or one more.
pub fn part(n_shards: usize, rank: usize, n_ranks: usize) -> Range<usize> {
    rank * n_shards / n_ranks..(rank + 1) * n_shards / n_ranks
}

/// Sums of nodes of the tree: the shards of each, and its elements.
pub type Sums = Vec<(Range<usize>, Vec<f32>)>;

/// The sum over all ranks. Its buffers are used again in every step.
#[derive(Default)]
pub struct Reduction {
    /// This rank's slice of the sums of each other rank.
    received: Vec<(Range<usize>, Vec<f32>)>,
}

impl Reduction {
    /// Writes the total of all sums into `total`. `own` has the sums that this rank has finished, in the order of
    /// [`carries`].
    ///
    /// # Panics
    /// If the sums are not those of this rank's part, or differ from `total` in length.
    pub fn sum(&mut self, ranks: &dyn Ranks, n_shards: usize, own: &Sums, total: &mut [f32]) {
        let (rank, n_ranks, n) = (ranks.rank(), ranks.size(), total.len());
        let slice = |of: usize| of * n / n_ranks..(of + 1) * n / n_ranks;
        let others = || (0..n_ranks).filter(|&other| other != rank);
        let finished = |of: usize| {
            let all = carries(n_shards, part(n_shards, of, n_ranks)).into_iter();
            all.filter_map(|Carry { finished, .. }| finished)
        };
        let is_own = own.iter().map(|(shards, _)| shards.clone()).eq(finished(rank));
        assert!(is_own && own.iter().all(|(_, sum)| sum.len() == n), "sums of another part");

        let here = slice(rank);
        let expected: Vec<_> = others().flat_map(|of| finished(of).map(move |f| (of, f))).collect();
        self.received.resize_with(expected.len(), Default::default);
        for (received, (_, shards)) in self.received.iter_mut().zip(&expected) {
            received.0.clone_from(shards);
            received.1.resize(here.len(), 0.0);
        }
        let to = |of: usize| own.iter().map(move |(_, sum)| (of, &sum[slice(of)]));
        let sends: Vec<_> = others().flat_map(to).collect();
        let from = self.received.iter_mut().zip(&expected);
        let mut receives: Vec<_> =
            from.map(|((_, slice), (of, _))| (*of, &mut slice[..])).collect();
        ranks.exchange(&sends, &mut receives);

        let received = self.received.iter().map(|(shards, slice)| (shards, &slice[..]));
        let own = own.iter().map(|(shards, sum)| (shards, &sum[here.clone()]));
        let sums: Vec<_> = received.chain(own).collect();
        add_up(n_shards, &sums, &mut total[here.clone()]);

        let mut parts: Vec<(usize, &mut [f32])> = Vec::with_capacity(n_ranks);
        let mut rest = total;
        for of in 0..n_ranks {
            let (head, tail) = rest.split_at_mut(slice(of).len());
            parts.push((of, head));
            rest = tail;
        }
        let (_, mine) = parts.remove(rank);
        let sends: Vec<_> = others().map(|of| (of, &*mine)).collect();
        ranks.exchange(&sends, &mut parts);
    }
}

/// Adds the sums of nodes up to the root of the tree.
fn add_up(n_shards: usize, sums: &[(&Range<usize>, &[f32])], total: &mut [f32]) {
    let found = |shards: &Range<usize>| sums.iter().find(|(of, _)| *of == shards);
    let root = tree::sum_of(
        0..n_shards,
        &|shards| found(shards).map(|(_, sum)| sum.to_vec()),
        &|mut left: Vec<f32>, right: Vec<f32>| {
            left.iter_mut().zip(&right).for_each(|(left, right)| *left += right);
            left
        },
    );
    total.copy_from_slice(&root);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_contiguous_and_differ_by_one_at_most() {
        for (n_shards, n_ranks) in [(8, 3), (12, 5), (256, 7), (3, 3)] {
            let parts: Vec<_> = (0..n_ranks).map(|rank| part(n_shards, rank, n_ranks)).collect();
            assert_eq!((parts[0].start, parts[n_ranks - 1].end), (0, n_shards));
            assert!(parts.windows(2).all(|two| two[0].end == two[1].start));
            let lengths = parts.iter().map(ExactSizeIterator::len);
            assert!(lengths.clone().max() <= lengths.min().map(|least| least + 1));
        }
    }
}
