//! The beginning of an operation between ranks, and its times and bytes.

use std::ops::AddAssign;
use std::sync::atomic::{AtomicBool, Ordering};
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
    Files,
    Finish,
}

/// The beginning of an operation, in which every rank takes part.
pub(super) struct Meeting<'a> {
    pub kind: Kind,
    /// Number of the operation, counted from 0 by each rank.
    pub number: u64,
    /// Time after which a missing rank ends the run.
    pub timeout: Duration,
    /// The same time for a rank on another machine, once this rank has a signal to stop.
    pub timeout_of_stopped: Duration,
    /// True once this rank has a signal to stop.
    pub is_stopped: Option<&'a AtomicBool>,
}

impl Meeting<'_> {
    /// Returns the time after which missing ranks end the run now, and the circumstance that shortens it as text.
    /// `are_watched` returns true if this process sees the processes of all missing ranks: then they live.
    #[cfg_attr(not(any(feature = "mpi", test)), expect(dead_code, reason = "only mpi.rs waits"))]
    pub fn limit(&self, are_watched: impl Fn() -> bool) -> (Duration, &'static str) {
        let is_stopped = self.is_stopped.is_some_and(|stopped| stopped.load(Ordering::Relaxed));
        match is_stopped && self.timeout_of_stopped < self.timeout && !are_watched() {
            true => (self.timeout_of_stopped, " after a signal to stop"),
            false => (self.timeout, ""),
        }
    }

    /// Returns the name of the operation.
    pub fn name(&self) -> String {
        name(self.kind as u64, self.number)
    }
}

/// Returns the name of an operation, given the number of its kind and its own number.
pub(super) fn name(kind: u64, number: u64) -> String {
    let names = [
        "an exchange",
        "a gather",
        "a gather of numbers",
        "a barrier",
        "a wait for files",
        "the end of the run",
    ];
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
    fn a_signal_to_stop_shortens_a_wait() {
        let stopped = AtomicBool::new(false);
        let [long, short] = [600, 3].map(Duration::from_secs);
        let meeting = Meeting {
            kind: Kind::Exchange,
            number: 0,
            timeout: long,
            timeout_of_stopped: short,
            is_stopped: Some(&stopped),
        };
        assert_eq!(meeting.limit(|| false), (long, ""));
        stopped.store(true, Ordering::Relaxed);
        assert_eq!(meeting.limit(|| false), (short, " after a signal to stop"));
        assert_eq!(meeting.limit(|| true), (long, ""), "a process that lives is slow");
        let unlimited = Meeting { timeout_of_stopped: Duration::MAX, ..meeting };
        assert_eq!(unlimited.limit(|| false), (long, ""));
    }

    #[test]
    fn fingerprints_depend_on_the_order_of_lengths() {
        let of = |lengths: &[usize]| fingerprint(lengths.iter().copied());
        assert_eq!(of(&[2, 3])[0], 5);
        assert_ne!(of(&[2, 3]), of(&[3, 2]));
        assert_ne!(of(&[0]), of(&[]));
    }
}
