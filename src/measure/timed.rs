//! Work and its time: rates, and their fraction of the device's peak rates.

use std::iter::Sum;

use serde::{Deserialize, Serialize};

use crate::device::Peaks;
use crate::passes::Work;

/// Work, and the time that it took.
#[derive(Clone, Copy, PartialEq, Default, Debug)]
pub struct TimedWork {
    /// Time in seconds.
    pub seconds: f64,
    /// Operations and bytes.
    pub work: Work,
}

/// The resource that bounds the rate of some work.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Bound {
    /// The rate of the device's multiply-adds.
    Arithmetic,
    /// The rate at which the device reads and writes memory.
    Memory,
}

impl Bound {
    /// Returns the name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Bound::Arithmetic => "arithmetic",
            Bound::Memory => "memory",
        }
    }
}

/// Returns the resource that bounds some work, and the least time in seconds, `max(flops / peak flops, bytes / peak
/// bandwidth)`: the roofline model (Williams, Waterman and Patterson, 2009).
pub fn roof(work: Work, peak: Peaks) -> (Bound, f64) {
    let computing = work.flops as f64 / peak.flops_per_s;
    let moving = work.bytes as f64 / peak.bytes_per_s;
    if computing > moving { (Bound::Arithmetic, computing) } else { (Bound::Memory, moving) }
}

impl TimedWork {
    /// Returns operations per second; None without operations or if the measured time is 0.
    pub fn flops_per_s(&self) -> Option<f64> {
        self.rate(self.work.flops)
    }

    /// Returns bytes per second; None if the measured time is 0.
    pub fn bytes_per_s(&self) -> Option<f64> {
        self.rate(self.work.bytes)
    }

    fn rate(&self, done: u64) -> Option<f64> {
        (done > 0 && self.seconds > 0.0).then(|| done as f64 / self.seconds)
    }

    /// Returns the least possible time as a fraction of the measured time: 1 at the device's peak rates; 0 if the
    /// measured time is 0. See [`roof`].
    pub fn of_roof(&self, peak: Peaks) -> f64 {
        if self.seconds > 0.0 { roof(self.work, peak).1 / self.seconds } else { 0.0 }
    }
}

impl Sum for TimedWork {
    fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
        parts.fold(Self::default(), |sum, part| Self {
            seconds: sum.seconds + part.seconds,
            work: sum.work + part.work,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_without_time_has_no_rate() {
        let timed = TimedWork { seconds: 0.5, work: Work { flops: 10, bytes: 4 } };
        assert_eq!((timed.flops_per_s(), timed.bytes_per_s()), (Some(20.0), Some(8.0)));
        let at_once = TimedWork { seconds: 0.0, ..timed };
        assert_eq!(at_once.flops_per_s(), None);
        assert_eq!(at_once.of_roof(Peaks { flops_per_s: 1.0, bytes_per_s: 1.0 }), 0.0);
        let moved = TimedWork { work: Work { flops: 0, bytes: 4 }, ..timed };
        assert_eq!((moved.flops_per_s(), moved.bytes_per_s()), (None, Some(8.0)));
        let sum: TimedWork = [timed, moved].into_iter().sum();
        assert_eq!(sum, TimedWork { seconds: 1.0, work: Work { flops: 10, bytes: 8 } });
    }

    #[test]
    fn the_roof_is_the_longer_of_the_two_times() {
        // With these peaks, arithmetic and memory need the same time for work of 10 operations per byte.
        let peak = Peaks { flops_per_s: 100e9, bytes_per_s: 10e9 };
        let work = |flops, bytes| Work { flops, bytes };
        assert_eq!(roof(work(1_000_000_000, 50_000_000), peak), (Bound::Arithmetic, 0.01));
        assert_eq!(roof(work(1_000_000_000, 200_000_000), peak), (Bound::Memory, 0.02));
        assert_eq!(roof(work(0, 10_000_000), peak), (Bound::Memory, 0.001));
        let timed = TimedWork { seconds: 0.1, work: work(1_000_000_000, 200_000_000) };
        assert!((timed.of_roof(peak) - 0.2).abs() < 1e-12 && timed.work.intensity() == 5.0);
    }
}
