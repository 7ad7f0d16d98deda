//! The beginning of an operation between ranks, and its times and bytes.

use std::ops::AddAssign;
use std::time::Duration;

/// Seconds and bytes of operations between ranks.
#[derive(Clone, Copy, Default, PartialEq, Debug)]
pub struct Traffic {
    /// Seconds until all ranks had begun the operation: the wait for the slowest rank.
    pub wait_seconds: f64,
    /// Bytes that this rank sent to all others.
    pub n_sent_bytes: u64,
}

impl AddAssign for Traffic {
    fn add_assign(&mut self, other: Self) {
        self.wait_seconds += other.wait_seconds;
        self.n_sent_bytes += other.n_sent_bytes;
    }
}

/// A kind of operation. [`name`] has the names in the same order.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Exchange,
    Gather,
    Numbers,
    Barrier,
    Finish,
}

/// The beginning of an operation, in which every rank takes part.
pub(super) struct Meeting {
    pub kind: Kind,
    /// Number of the operation, counted from 0 by each rank.
    pub number: u64,
    /// Time after which a missing rank ends the run.
    #[cfg_attr(not(feature = "mpi"), expect(dead_code, reason = "only mpi.rs waits"))]
    pub timeout: Duration,
}

impl Meeting {
    /// Returns the name of the operation.
    pub fn name(&self) -> String {
        name(self.kind as u64, self.number)
    }
}

/// Returns the name of an operation, given the number of its kind and its own number.
pub(super) fn name(kind: u64, number: u64) -> String {
    let names =
        ["an exchange", "a gather", "a gather of numbers", "a barrier", "the end of the run"];
    let kind = usize::try_from(kind).ok().and_then(|kind| names.get(kind)).unwrap_or(&"unknown");
    format!("{kind} (operation {number})")
}

/// Returns the sum of lengths and a hash of the lengths (FNV-1a over their order).
pub(super) fn fingerprint(lengths: impl Iterator<Item = usize>) -> [u64; 2] {
    lengths.fold([0, 0xcbf2_9ce4_8422_2325], |[sum, hash], length| {
        let length = length as u64;
        [sum + length, (hash ^ length).wrapping_mul(0x100_0000_01b3)]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_depend_on_the_order_of_lengths() {
        let of = |lengths: &[usize]| fingerprint(lengths.iter().copied());
        assert_eq!(of(&[2, 3])[0], 5);
        assert_ne!(of(&[2, 3]), of(&[3, 2]));
        assert_ne!(of(&[0]), of(&[]));
    }
}
