//! Stable sorts that are compiled once. The sort of the standard library takes 8 KB of the program for each type of
//! elements and each closure; here it sorts numbers, and the elements follow.

use std::cmp::Ordering;

/// Sorts as `slice::sort_by` does.
pub fn sort_by<T>(values: &mut [T], compare: impl Fn(&T, &T) -> Ordering) {
    let order = order(values.len(), &|a, b| compare(&values[a], &values[b]));
    rearrange(values, order);
}

/// Sorts as `slice::sort_by_key` does.
pub fn sort_by_key<T, K: Ord>(values: &mut [T], key: impl Fn(&T) -> K) {
    sort_by(values, |a, b| key(a).cmp(&key(b)));
}

/// Returns the numbers below `n` in their sorted order.
fn order(n: usize, compare: &dyn Fn(usize, usize) -> Ordering) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&a, &b| compare(a, b));
    order
}

/// Moves the value at position `order[i]` to position i, for each i.
fn rearrange<T>(values: &mut [T], mut order: Vec<usize>) {
    for first in 0..order.len() {
        // A swap fills one position of a cycle. The first value of the cycle moves on to the next position.
        let mut at = first;
        while order[at] != first {
            let from = std::mem::replace(&mut order[at], at);
            values.swap(at, from);
            at = from;
        }
        order[at] = at;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_sorted_as_by_the_standard_library() {
        for n in [0, 1, 2, 3, 10, 100, 1000] {
            // Many keys are equal, and the numbers show the order of equal elements.
            let values: Vec<(u64, String)> =
                (0..n).map(|ix| (ix * ix * 7919 % 31, ix.to_string())).collect();
            let mut expected = values.clone();
            expected.sort_by_key(|value| value.0);
            let mut found = values.clone();
            sort_by_key(&mut found, |value| value.0);
            assert_eq!(found, expected);
            expected.sort_by(|a, b| b.1.cmp(&a.1));
            sort_by(&mut found, |a, b| b.1.cmp(&a.1));
            assert_eq!(found, expected);
        }
    }
}
