//! The assignment of transient values to slots.
//!
//! All values are known before the first node runs, so the largest come first: a slot made for a large value also holds
//! smaller ones while it is free, and never has to grow (Pisarchyk and Lee, *Efficient Memory Management for Deep Neural
//! Net Inference*, 2020, call this greedy by size). In a single pass in the order of the nodes, a small value can
//! occupy a slot that a large value needs a moment later.
//!
//! Values of equal size are assigned together, in the order of their first nodes. Among values of one size this gives as
//! many slots as values live at once, which is the least number. The time grows with the number of values times its
//! logarithm, for a fixed number of different sizes.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::ops::Range;

use super::Slot;

/// A value or scratch memory that needs a slot.
#[derive(Clone, Debug)]
pub struct Tenant {
    /// True for real numbers, false for 32-bit words.
    pub real: bool,
    /// Size, in bytes.
    pub bytes: u64,
    /// The nodes during which the slot is occupied.
    pub nodes: Range<usize>,
}

/// A range of nodes during which a slot is free: its start, its end and the slot.
type Gap = (usize, usize, usize);

/// Returns the slot of each tenant, an index into `slots`. Adds slots at the end where those of `slots` do not suffice, in
/// the order in which the nodes need them.
pub fn assign(tenants: &[Tenant], slots: &mut Vec<Slot>) -> Vec<usize> {
    let n_earlier = slots.len();
    let mut slot_of = vec![0; tenants.len()];
    for real in [false, true] {
        let mut order: Vec<usize> =
            (0..tenants.len()).filter(|&ix| tenants[ix].real == real).collect();
        order.sort_by_key(|&ix| (Reverse(tenants[ix].bytes), tenants[ix].nodes.start));
        let mut earlier: Vec<usize> =
            (0..slots.len()).filter(|&ix| slots[ix].real == real).collect();
        earlier.sort_by_key(|&ix| slots[ix].bytes);
        let mut gaps: Vec<Gap> = Vec::new();
        for of_one_size in order.chunk_by(|&a, &b| tenants[a].bytes == tenants[b].bytes) {
            let bytes = tenants[of_one_size[0]].bytes;
            while let Some(slot) = earlier.pop_if(|ix| slots[*ix].bytes >= bytes) {
                gaps.push((0, usize::MAX, slot));
            }
            let mut sweep = Sweep::new(gaps);
            for &ix in of_one_size {
                slot_of[ix] = sweep.take(&tenants[ix].nodes, || {
                    slots.push(Slot { real, bytes });
                    slots.len() - 1
                });
            }
            gaps = sweep.into_gaps();
        }
    }
    let mut new_number: Vec<Option<usize>> =
        (0..slots.len()).map(|ix| (ix < n_earlier).then_some(ix)).collect();
    let made = slots.split_off(n_earlier);
    // Tenants are in the order of their nodes.
    for slot in &mut slot_of {
        let number = new_number[*slot].get_or_insert_with(|| {
            slots.push(made[*slot - n_earlier]);
            slots.len() - 1
        });
        *slot = *number;
    }
    slot_of
}

/// The gaps of all slots that are large enough, while tenants take them in the order of their first nodes.
struct Sweep {
    /// The gaps that begin behind the present node; the next one first.
    later: BinaryHeap<Reverse<Gap>>,
    /// The gaps that have begun, with the end in front: (end, start, slot).
    begun: BTreeSet<Gap>,
    /// The gaps before tenants. They are too early for the next tenants of this size.
    before: Vec<Gap>,
}

impl Sweep {
    fn new(gaps: Vec<Gap>) -> Self {
        let later = gaps.into_iter().map(Reverse).collect();
        Self { later, begun: BTreeSet::new(), before: Vec::new() }
    }

    /// Returns the slot of a tenant: the one whose gap ends first after the tenant, or the slot that `add` makes.
    fn take(&mut self, nodes: &Range<usize>, add: impl FnOnce() -> usize) -> usize {
        while let Some(&Reverse((start, end, slot))) = self.later.peek()
            && start <= nodes.start
        {
            self.later.pop();
            self.begun.insert((end, start, slot));
        }
        let fits = self.begun.range((nodes.end, 0, 0)..).next().copied();
        let (end, start, slot) = fits.unwrap_or_else(|| (usize::MAX, 0, add()));
        self.begun.remove(&(end, start, slot));
        if start < nodes.start {
            self.before.push((start, nodes.start, slot));
        }
        if nodes.end < end {
            self.later.push(Reverse((nodes.end, end, slot)));
        }
        slot
    }

    fn into_gaps(self) -> Vec<Gap> {
        let begun = self.begun.into_iter().map(|(end, start, slot)| (start, end, slot));
        let later = self.later.into_iter().map(|Reverse(gap)| gap);
        self.before.into_iter().chain(begun).chain(later).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a tenant of real numbers.
    fn tenant(bytes: u64, nodes: Range<usize>) -> Tenant {
        Tenant { real: true, bytes, nodes }
    }

    fn sizes(tenants: &[Tenant]) -> Vec<u64> {
        let mut slots = Vec::new();
        let slot_of = assign(tenants, &mut slots);
        for (ix, a) in tenants.iter().enumerate() {
            assert!(slots[slot_of[ix]].bytes >= a.bytes);
            for (b, &slot) in tenants.iter().zip(&slot_of).take(ix) {
                let overlap = a.nodes.start < b.nodes.end && b.nodes.start < a.nodes.end;
                assert!(slot != slot_of[ix] || !overlap, "{a:?} and {b:?} share a slot");
            }
        }
        slots.iter().map(|slot| slot.bytes).collect()
    }

    #[test]
    fn a_small_value_does_not_occupy_the_slot_that_a_large_one_needs() {
        // In the order of the nodes, the value of 10 bytes would take the free slot of 100 bytes at node 2.
        let tenants = [tenant(100, 0..2), tenant(10, 2..9), tenant(100, 3..5), tenant(10, 5..7)];
        assert_eq!(sizes(&tenants), [100, 10]);
    }

    #[test]
    fn values_of_one_size_take_as_many_slots_as_live_at_once() {
        let tenants: Vec<_> = (0..100).map(|ix| tenant(8, ix..ix + 3 + ix % 2)).collect();
        assert_eq!(sizes(&tenants), [8; 4]);
    }

    #[test]
    fn small_values_fill_the_gaps_of_large_slots() {
        let tenants = [
            tenant(100, 2..4),
            tenant(100, 8..9),
            tenant(9, 0..2),
            tenant(8, 4..8),
            tenant(7, 4..9),
        ];
        assert_eq!(sizes(&tenants), [100, 7]);
    }
}
