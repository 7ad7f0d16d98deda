//! What a step's nodes take, and what the device could do.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// The time of each node in one run of a program.
#[derive(Clone, PartialEq, Debug)]
pub struct NodeTimes {
    /// Seconds, in the order of the tape's nodes.
    pub seconds: Vec<f64>,
    /// What measured them.
    pub clock: Clock,
}

impl NodeTimes {
    /// The time of all nodes, in seconds.
    pub fn sum(&self) -> f64 {
        self.seconds.iter().sum()
    }
}

/// What measures a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Clock {
    /// The device writes its clock between the nodes of the step's one pass. A node's time is from the
    /// end of the one before to its own end, so that all of them add up to the step.
    BetweenNodes,
    /// The device writes its clock where a pass begins and ends, and each node is a pass of its own:
    /// for adapters that cannot tell the time within a pass.
    AroundPasses,
    /// The host's clock, around each node.
    Host,
    /// The host's clock, from the submission of each node alone until the device is idle again, for
    /// adapters that cannot tell the time: what handing over and waiting takes is counted too.
    SubmitAndWait,
}

impl Clock {
    /// One word, for files.
    pub fn name(self) -> &'static str {
        match self {
            Clock::BetweenNodes => "timestamps-between-nodes",
            Clock::AroundPasses => "timestamps-around-passes",
            Clock::Host => "host",
            Clock::SubmitAndWait => "submit-and-wait",
        }
    }
}

/// A few words, for people.
impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Clock::BetweenNodes => "timestamps that the device writes between nodes",
            Clock::AroundPasses => "timestamps that the device writes around each node's pass",
            Clock::Host => "the host's clock around each node",
            Clock::SubmitAndWait => {
                "the host's clock around each node, submitted alone: this adapter has no timestamps, \
                 so each time has the hand-over in it"
            }
        })
    }
}

/// What a device was seen to do at best.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Peaks {
    /// Additions and multiplications of f32 a second: multiply-adds on numbers that are in registers, or
    /// matrix products on the CPU.
    pub flops_per_s: f64,
    /// Bytes read and written a second, by a copy of more than caches hold.
    pub bytes_per_s: f64,
}

impl Peaks {
    /// The better of two looks.
    pub fn max(self, other: Self) -> Self {
        Self {
            flops_per_s: self.flops_per_s.max(other.flops_per_s),
            bytes_per_s: self.bytes_per_s.max(other.bytes_per_s),
        }
    }
}

/// A measurement is at least this long, in seconds, so that starting it is lost in it; and no longer than it
/// must, since on a busy machine only short ones are left in peace.
const LONG_ENOUGH: f64 = 0.01;

/// Measurements go on for this long, in seconds, and the best one counts.
const IN_ALL: f64 = 0.7;

/// The seconds that one run takes at best, where `time` measures so many runs together.
///
/// # Errors
/// That of `time`.
pub(super) fn fastest(mut time: impl FnMut(usize) -> Result<f64, Error>) -> Result<f64, Error> {
    // Finding the number of runs also warms up what there is to warm up: clocks, caches, pages.
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
    fn the_fastest_of_measurements_that_are_long_enough() {
        let mut asked = Vec::new();
        let time = |n: usize| {
            asked.push(n);
            // Of the long ones, the second is the fastest.
            Ok(n as f64 * if asked.len() == 6 { 0.002 } else { 0.003 })
        };
        assert_eq!(fastest(time).expect("no device that could fail"), 0.002);
        assert_eq!(asked[..5], [1, 2, 4, 4, 4]);
        assert!(asked.len() > 50 && asked[4..].iter().all(|&n| n == 4));
    }
}
