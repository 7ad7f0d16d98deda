//! Where the time of a training step goes: each node of its tape, timed on the device.
//!
//! [`measure`] times, with [`steps`]; what it finds is a [`Profile`], which [`table`] prints and [`svg`] draws.
//! `docs/profiling.md` says how to read them.

use serde::Serialize;

use crate::device::{Clock, Peaks};
use crate::tape::Tape;

mod measure;
pub mod steps;
pub mod svg;
pub mod table;

pub use measure::measure;

/// A training step, timed.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Profile {
    /// What the device is called.
    pub device: String,
    /// The name of the network.
    pub network: String,
    /// Channels of the network's first layer.
    pub width: usize,
    /// Images in a step.
    pub batch_size: usize,
    /// What measured the nodes.
    #[serde(serialize_with = "clock_name")]
    pub clock: Clock,
    /// The steps that the nodes were timed in, and the medians are of.
    pub n_steps: usize,
    /// What the device was seen to do at best.
    pub peak: Peaks,
    /// A whole step without a clock on its nodes, in seconds: the median of ordinary ones, by the host's
    /// clock.
    pub step_seconds: f64,
    /// All nodes: the sum of their medians.
    pub sum: Total,
    /// Every node, in the order of the tape.
    pub nodes: Vec<NodeProfile>,
    /// By part of the step, in order.
    pub phases: Vec<Total>,
    /// By layer of the network, forward, backward and all, in the order of the forward pass.
    pub layers: Vec<Total>,
    /// By kind of op, the most time first.
    pub ops: Vec<Total>,
}

/// A node, timed.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct NodeProfile {
    /// Its place on the tape.
    pub ix: usize,
    /// `layer1.0.conv2d.d_weight`
    pub node: String,
    /// `forward`, `backward` or `update`.
    pub phase: &'static str,
    /// The layer, `layer1`; empty for what belongs to none.
    pub layer: String,
    /// `conv2d.d_weight`
    pub op: &'static str,
    /// The shortest that it took, in seconds.
    pub seconds_min: f64,
    /// The longest.
    pub seconds_max: f64,
    /// The median, and what was done in it.
    #[serde(flatten)]
    pub work: Work,
}

/// Nodes taken together.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Total {
    /// What they have in common.
    pub name: String,
    /// How many there are.
    pub n_nodes: usize,
    /// What they took and did.
    #[serde(flatten)]
    pub work: Work,
}

/// Time, and what was done in it.
#[derive(Clone, Copy, PartialEq, Default, Debug, Serialize)]
#[serde(into = "Rates")]
pub struct Work {
    /// Seconds.
    pub seconds: f64,
    /// Additions and multiplications of real numbers that the formula needs.
    pub flops: u64,
    /// Bytes read and written if every value passes memory once.
    pub bytes: u64,
}

impl Work {
    /// `flops` a second; none where there is nothing to compute, or no time was seen to pass.
    pub fn flops_per_s(&self) -> Option<f64> {
        self.rate(self.flops)
    }

    /// `bytes` a second; none where no time was seen to pass.
    pub fn bytes_per_s(&self) -> Option<f64> {
        self.rate(self.bytes)
    }

    fn rate(&self, done: u64) -> Option<f64> {
        (done > 0 && self.seconds > 0.0).then(|| done as f64 / self.seconds)
    }

    fn plus(self, other: Self) -> Self {
        Self {
            seconds: self.seconds + other.seconds,
            flops: self.flops + other.flops,
            bytes: self.bytes + other.bytes,
        }
    }
}

/// [`Work`] as files have it.
#[derive(Serialize)]
struct Rates {
    seconds: f64,
    flops: u64,
    bytes: u64,
    flops_per_s: Option<f64>,
    bytes_per_s: Option<f64>,
}

impl From<Work> for Rates {
    fn from(work: Work) -> Self {
        let Work { seconds, flops, bytes } = work;
        let (flops_per_s, bytes_per_s) = (work.flops_per_s(), work.bytes_per_s());
        Self { seconds, flops, bytes, flops_per_s, bytes_per_s }
    }
}

fn clock_name<S: serde::Serializer>(clock: &Clock, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(clock.name())
}

impl NodeProfile {
    /// A node of a tape, and the seconds that it took in each of several steps.
    fn new(tape: &Tape, ix: usize, seconds: &mut [f64]) -> Self {
        let node = &tape.nodes()[ix];
        let io = tape.io(node);
        seconds.sort_by(f64::total_cmp);
        let (flops, bytes) = (node.op.flops(&io), io.bytes());
        Self {
            ix,
            node: node.label(),
            phase: node.phase.name(),
            layer: node.layer().to_string(),
            op: node.op.name(),
            seconds_min: seconds[0],
            seconds_max: seconds[seconds.len() - 1],
            work: Work { seconds: median(seconds), flops, bytes },
        }
    }
}

/// The middle of sorted numbers, or the mean of the two in the middle.
pub(crate) fn median(sorted: &[f64]) -> f64 {
    let n = sorted.len();
    (sorted[(n - 1) / 2] + sorted[n / 2]) / 2.0
}

/// Nodes by what they have in common, in the order in which each first comes.
pub fn totals<'a>(
    nodes: impl IntoIterator<Item = &'a NodeProfile>,
    name: impl Fn(&NodeProfile) -> &str,
) -> Vec<Total> {
    let mut totals: Vec<Total> = Vec::new();
    for node in nodes {
        let name = name(node);
        let ix = totals.iter().position(|total| total.name == name).unwrap_or_else(|| {
            totals.push(Total { name: name.to_string(), n_nodes: 0, work: Work::default() });
            totals.len() - 1
        });
        let total = &mut totals[ix];
        (total.n_nodes, total.work) = (total.n_nodes + 1, total.work.plus(node.work));
    }
    totals
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&[3.0]), 3.0);
        assert_eq!(median(&[1.0, 2.0, 9.0]), 2.0);
        assert_eq!(median(&[1.0, 2.0, 4.0, 9.0]), 3.0);
    }

    #[test]
    fn work_that_takes_no_time_has_no_rate() {
        let work = Work { seconds: 0.5, flops: 10, bytes: 4 };
        assert_eq!((work.flops_per_s(), work.bytes_per_s()), (Some(20.0), Some(8.0)));
        assert_eq!(Work { seconds: 0.0, ..work }.flops_per_s(), None);
        assert_eq!(Work { flops: 0, ..work }.flops_per_s(), None);
        let json = serde_json::to_string(&Work { flops: 0, ..work }).expect("numbers");
        let expected =
            r#"{"seconds":0.5,"flops":0,"bytes":4,"flops_per_s":null,"bytes_per_s":8.0}"#;
        assert_eq!(json, expected);
    }
}
