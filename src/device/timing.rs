//! Times of a step's nodes, and peak rates of the device.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::device::DeviceError;

/// The time of each node in one run of a program.
#[derive(Clone, PartialEq, Debug)]
pub struct NodeTimes {
    /// The times in seconds, in the order of the tape's nodes.
    pub seconds: Vec<f64>,
    /// The clock that measured the times.
    pub clock: Clock,
}

impl NodeTimes {
    /// Returns the sum of all nodes' times, in seconds.
    pub fn sum(&self) -> f64 {
        self.seconds.iter().sum()
    }

    /// Adds the times of another run of the program, node by node.
    pub fn add(&mut self, other: &Self) {
        self.seconds.iter_mut().zip(&other.seconds).for_each(|(sum, seconds)| *sum += seconds);
    }

    /// Appends the times of the nodes of another program.
    pub fn append(&mut self, other: Self) {
        self.seconds.extend(other.seconds);
    }
}

/// The way in which a device measures the time of each node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Clock {
    /// The device writes a timestamp between two nodes, and the step is one compute pass. A node's time is from the end
    /// of the previous node to its own end, so the sum of the times is the time of the step.
    BetweenNodes,
    /// The device writes a timestamp at the beginning and at the end of a compute pass, and each node is a compute pass
    /// of its own. This clock is for adapters that cannot write timestamps inside a compute pass.
    AroundPasses,
    /// The host reads its clock before and after each node. This clock is for the CPU device.
    Host,
    /// The host reads its clock at the submission of each node, and when the device is idle again. This clock is for
    /// adapters without timestamps. The time includes the submission and the wait.
    SubmitAndWait,
}

impl Clock {
    /// Returns the name that files use for the clock.
    pub fn name(self) -> &'static str {
        match self {
            Clock::BetweenNodes => "timestamps-between-nodes",
            Clock::AroundPasses => "timestamps-around-passes",
            Clock::Host => "host",
            Clock::SubmitAndWait => "submit-and-wait",
        }
    }
}

/// Writes a short description for users.
impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Clock::BetweenNodes => "timestamps that the device writes between nodes",
            Clock::AroundPasses => "timestamps that the device writes around each node's pass",
            Clock::Host => "the host's clock around each node",
            Clock::SubmitAndWait => {
                "the host's clock around each node, which is submitted alone: this adapter has no timestamps, \
                 so each time includes the submission and the wait"
            }
        })
    }
}

/// The peak rates of a device, as measured.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Peaks {
    /// Additions and multiplications of f32 per second: multiply-adds in registers on a GPU, matrix products
    /// on the CPU.
    pub flops_per_s: f64,
    /// Bytes read and written per second, by a copy that is larger than most caches.
    pub bytes_per_s: f64,
}

impl Peaks {
    /// Returns the higher value of each rate.
    pub fn max(self, other: Self) -> Self {
        Self {
            flops_per_s: self.flops_per_s.max(other.flops_per_s),
            bytes_per_s: self.bytes_per_s.max(other.bytes_per_s),
        }
    }
}

/// The minimum time of a measurement, in seconds. In a shorter measurement, the overhead of starting the work would be
/// most of the time. On a busy machine, other programs disturb a longer measurement more often.
const LONG_ENOUGH: f64 = 0.01;

/// The minimum total time of all measurements of one rate, in seconds. The fastest of these measurements is the result.
const IN_ALL: f64 = 0.7;

/// Returns the time of one run in seconds: the shortest of several measurements. `time(n)` measures n runs together.
///
/// # Errors
/// The error of `time`.
pub(super) fn fastest(
    mut time: impl FnMut(usize) -> Result<f64, DeviceError>,
) -> Result<f64, DeviceError> {
    // The search for the number of runs also warms up clocks, caches and memory pages.
    let mut n = 1;
    while time(n)? < LONG_ENOUGH {
        n *= 2;
    }
    let (mut best, mut in_all) = (f64::INFINITY, 0.0);
    while in_all < IN_ALL {
        let seconds = time(n)?;
        (best, in_all) = (best.min(seconds / n as f64), in_all + seconds);
    }
    Ok(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fastest_of_the_long_measurements_counts() {
        let mut asked = Vec::new();
        let time = |n: usize| {
            asked.push(n);
            // The second of the long measurements is the fastest.
            Ok(n as f64 * if asked.len() == 6 { 0.002 } else { 0.003 })
        };
        assert_eq!(fastest(time).expect("nothing fails"), 0.002);
        assert_eq!(asked[..5], [1, 2, 4, 4, 4]);
        assert!(asked.len() > 50 && asked[4..].iter().all(|&n| n == 4));
    }
}
