//! The order of the additions over the shards of a step.
//!
//! The sum over S shards is a binary tree over their numbers, which S alone determines. A node of level l with the number
//! i is the sum over the shards `i · 2^l .. (i + 1) · 2^l`, without those from S on; a right child that has no shards is
//! left out:
//!
//! ```text
//! S = 6     level 3             0..6
//!           level 2       0..4        4..6
//!           level 1    0..2   2..4    4..6
//!           level 0    0  1   2  3    4  5
//! ```
//!
//! A device computes one shard after another. After each shard it adds every sum that is complete, as one carries in a
//! binary counter; [`partial_sum`](crate::ops::partial_sum) has the additions. A device that computes a part of the
//! shards gets the sums of the largest nodes that lie in its part.

use std::ops::Range;

use crate::tape::StateBuffer;

/// The largest number of shards of a step.
pub const MOST: usize = 1 << StateBuffer::N_PARTIAL;

/// Checks that a step of `batch_size` images can be divided into `n_shards` shards.
///
/// # Errors
/// The rule that the number breaks, in words.
pub fn check(batch_size: usize, n_shards: usize) -> Result<(), String> {
    let fits = |n: &usize| *n <= MOST && batch_size.is_multiple_of(*n);
    if fits(&n_shards) {
        return Ok(());
    }
    let below = (1..n_shards.min(MOST + 1)).rev().find(fits).unwrap_or(1);
    let near = match (n_shards..=MOST).find(fits) {
        Some(above) => format!("{below} or {above}"),
        None => below.to_string(),
    };
    Err(format!("divide the batch size {batch_size}, up to {MOST}, such as {near}"))
}

/// The additions after one shard.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Carry {
    /// The levels whose partial sums are added to the results, from the lowest one on: bit l is 1 for level l.
    pub added_levels: u32,
    /// The level at which the sum is stored then: bit l is 1 for level l. 0 if the sum is [finished](Carry::finished).
    pub stored_level: u32,
    /// The shards of the sum, if no other shard of the device's part can be added to it before all parts are added.
    pub finished: Option<Range<usize>>,
}

/// Returns the additions after each shard of a part, in the order of the shards. `n_shards` is the number of shards of
/// the step.
///
/// # Panics
/// If the part is empty or has shards from `n_shards` on.
pub fn carries(n_shards: usize, part: Range<usize>) -> Vec<Carry> {
    assert!(part.start < part.end && part.end <= n_shards, "shards {part:?} of {n_shards}");
    part.clone().map(|shard| carry(n_shards, &part, shard)).collect()
}

/// Returns the additions after one shard: climbs the tree from the shard as long as the sums are complete.
fn carry(n_shards: usize, part: &Range<usize>, shard: usize) -> Carry {
    let (mut level, mut start, mut added_levels) = (0, shard, 0);
    loop {
        let width = 1 << level;
        let is_right = (start >> level) & 1 == 1;
        let sibling = start + width;
        let is_stored =
            !is_right && sibling < n_shards && (sibling + width).min(n_shards) <= part.end;
        if is_stored {
            return Carry { added_levels, stored_level: 1 << level, finished: None };
        }
        let end = sibling.min(n_shards);
        let is_whole = start == 0 && end == n_shards;
        let is_alone = match is_right {
            true => start - width < part.start,
            false => sibling < n_shards,
        };
        if is_whole || is_alone {
            return Carry { added_levels, stored_level: 0, finished: Some(start..end) };
        }
        if is_right {
            added_levels |= 1 << level;
            start -= width;
        }
        level += 1;
    }
}

/// Returns the sum of `leaves` in the tree over their numbers; None without leaves.
pub fn tree_sum<T: Clone>(leaves: &[T], add: &impl Fn(T, T) -> T) -> Option<T> {
    let leaf = |range: &Range<usize>| (range.len() == 1).then(|| leaves[range.start].clone());
    (!leaves.is_empty()).then(|| sum_of(0..leaves.len(), &leaf, add))
}

/// Returns the sum of the node with these shards: that of `known`, or else the sum of its two children.
///
/// # Panics
/// If `known` has not the sum of a single shard that is reached.
pub(super) fn sum_of<T>(
    shards: Range<usize>,
    known: &impl Fn(&Range<usize>) -> Option<T>,
    add: &impl Fn(T, T) -> T,
) -> T {
    known(&shards).unwrap_or_else(|| {
        assert!(shards.len() > 1, "no sum has shard {}", shards.start);
        // The left child has a power of two of the shards.
        let middle = shards.start + shards.len().next_power_of_two() / 2;
        let left = sum_of(shards.start..middle, known, add);
        add(left, sum_of(middle..shards.end, known, add))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the sums that a device with this part of the shards finishes, as texts such as `((0+1)+2)`, each with its
    /// shards. Fails if a sum is added that is not stored.
    fn sums(n_shards: usize, part: Range<usize>) -> Vec<(Range<usize>, String)> {
        let mut partials: Vec<Option<String>> = vec![None; 8];
        let mut finished = Vec::new();
        for (shard, carry) in part.clone().zip(carries(n_shards, part)) {
            let mut sum = shard.to_string();
            for (level, partial) in partials.iter_mut().enumerate() {
                if (carry.added_levels >> level) & 1 == 1 {
                    sum = format!("({}+{sum})", partial.take().expect("a stored sum"));
                }
                if (carry.stored_level >> level) & 1 == 1 {
                    assert!(partial.replace(sum.clone()).is_none(), "a sum is overwritten");
                }
            }
            finished.extend(carry.finished.map(|shards| (shards, sum)));
        }
        assert!(partials.iter().all(Option::is_none), "a sum is left over");
        finished
    }

    /// Returns the sum over all shards as a text, from the definition of the tree.
    fn whole(n_shards: usize) -> String {
        let leaves: Vec<String> = (0..n_shards).map(|shard| shard.to_string()).collect();
        tree_sum(&leaves, &|a: String, b: String| format!("({a}+{b})")).expect("a shard")
    }

    #[test]
    fn one_device_adds_the_whole_tree() {
        assert_eq!(whole(6), "(((0+1)+(2+3))+(4+5))");
        for n_shards in 1..=130 {
            assert_eq!(sums(n_shards, 0..n_shards), [(0..n_shards, whole(n_shards))]);
        }
    }

    #[test]
    fn the_sums_of_any_parts_are_nodes_of_the_same_tree() {
        for n_shards in [2, 3, 6, 8, 11, 12, 16] {
            for n_parts in 1..=n_shards {
                let start = |part: usize| part * n_shards / n_parts;
                let parts = (0..n_parts).map(|part| start(part)..start(part + 1));
                let found: Vec<_> = parts.flat_map(|part| sums(n_shards, part)).collect();
                // The finished sums have each shard once, and each is a sum in the text of the whole tree.
                assert_eq!(found[0].0.start, 0);
                assert!(found.windows(2).all(|two| two[0].0.end == two[1].0.start));
                assert_eq!(found[found.len() - 1].0.end, n_shards);
                for (shards, sum) in found {
                    assert!(whole(n_shards).contains(&sum), "{n_shards}, {shards:?}: {sum}");
                }
            }
        }
    }

    #[test]
    fn equal_parts_that_are_powers_of_two_have_one_sum_each() {
        for part in 0..4 {
            assert_eq!(sums(8, 2 * part..2 * part + 2).len(), 1);
        }
        assert_eq!(sums(12, 3..6).len(), 2, "shard 3, and shards 4 and 5");
    }
}
