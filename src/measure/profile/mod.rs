//! Profiles: the time of each node of a training step, measured on the device.
//!
//! [`measure`] returns a [`Profile`]. [`table`] prints it, and [`svg`] draws it. `docs/profiling.md` explains the
//! output.

use std::rc::Rc;

use serde::{Serialize, Serializer};

use super::sampler::{Timed, TimedSteps, time_steps};
use super::{Effort, Sample, TimedWork};
use crate::Error;
use crate::base::sorting::sort_by;
use crate::data::Dataset;
use crate::device::{Clock, Device, Peaks};
use crate::distributed::Ranks;
use crate::passes::Work;
use crate::tape::Tape;
use crate::train::ReductionTimes;
use crate::train::step::StepConfig;

pub mod svg;
pub mod table;

/// Number of timed steps by default: as many as 8 seconds hold, at least 3 for a median and at most 100.
const EFFORT: Effort = Effort { n: None, seconds: 8.0, bounds: [3, 100] };

/// The profile of a training step.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Profile {
    /// Name of the device.
    pub device: String,
    /// Name of the network.
    pub network: String,
    /// Number of channels of the network's first layer.
    pub width: usize,
    /// Number of images in a step.
    pub batch_size: usize,
    /// Clock that timed the nodes.
    #[serde(serialize_with = "clock_name")]
    pub clock: Clock,
    /// Number of timed steps. Each time of a node is the median over these steps.
    pub n_steps: usize,
    /// Peak rates of the device, as measured.
    pub peak: Peaks,
    /// Median time of a whole step by the host's clock, in seconds. The nodes are timed in other steps.
    pub step_seconds: f64,
    /// Mean time of a whole step in which it waited for its images, in seconds. The mean has the rare long waits for a
    /// disk, which a median would leave out.
    pub wait_seconds: f64,
    /// Reduction over the ranks; None if no ranks share the step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reduction: Option<Reduction>,
    /// Images of the steps: `built-in`, or the name of a dataset.
    pub images: String,
    /// Images per second of the whole step, by the host's clock.
    pub images_per_s: f64,
    /// Sum of all nodes' median times, and sum of their work.
    pub sum: Total,
    /// Nodes in the order of the tape.
    pub nodes: Vec<NodeProfile>,
    /// Totals by phase of the step, in the order in which the phases run.
    pub phases: Vec<Total>,
    /// Totals by layer of the network over all phases, in the order of the forward pass.
    pub layers: Vec<Total>,
    /// Totals by op, those with the most time first.
    pub ops: Vec<Total>,
}

/// The sum of a step's results over all ranks, as the first rank measured it: after the nodes of the last shard, and
/// before those of the update.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Reduction {
    /// Number of ranks.
    pub n_ranks: usize,
    /// Median time in seconds: copies between device and host, wait, exchange, additions.
    pub seconds: f64,
    /// Median time in which the rank waited until all others had begun the exchange, in seconds; a part of `seconds`.
    pub wait_seconds: f64,
    /// Bytes that the rank sent to all others in a step.
    pub sent_bytes: u64,
}

impl Reduction {
    /// Returns the medians of several reductions; None without any.
    fn of(ranks: Option<&Rc<dyn Ranks>>, times: &[ReductionTimes]) -> Option<Self> {
        let last = times.last()?;
        let median = |seconds: fn(&ReductionTimes) -> f64| {
            Sample::new(times.iter().map(seconds).collect()).median
        };
        Some(Self {
            n_ranks: ranks?.size(),
            seconds: median(|times| times.seconds),
            wait_seconds: median(|times| times.wait_seconds),
            sent_bytes: last.n_sent_bytes,
        })
    }
}

/// A node and its time.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct NodeProfile {
    /// Index on the tape.
    pub ix: usize,
    /// Name: `layer1.0.conv2d.d_weight`.
    pub node: String,
    /// Phase: `forward`, `backward` or `update`.
    pub phase: &'static str,
    /// Layer: `layer1`. Empty outside layers.
    pub layer: String,
    /// Op: `conv2d.d_weight`.
    pub op: &'static str,
    /// Shortest time, in seconds.
    pub seconds_min: f64,
    /// Longest time, in seconds.
    pub seconds_max: f64,
    /// Median time and work of the node in a step; over all shards of this process if the step has several.
    #[serde(flatten, serialize_with = "rates")]
    pub timed: TimedWork,
}

/// The total of several nodes.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Total {
    /// Phase, layer or op that the nodes share.
    pub name: String,
    /// Number of nodes.
    pub n_nodes: usize,
    /// Sum of the nodes' median times, and sum of their work.
    #[serde(flatten, serialize_with = "rates")]
    pub timed: TimedWork,
}

/// Serializes time and work, and the rates that are computed from them.
fn rates<S: Serializer>(timed: &TimedWork, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Rates {
        seconds: f64,
        #[serde(flatten)]
        work: Work,
        flops_per_s: Option<f64>,
        bytes_per_s: Option<f64>,
    }
    let TimedWork { seconds, work } = *timed;
    let (flops_per_s, bytes_per_s) = (timed.flops_per_s(), timed.bytes_per_s());
    Rates { seconds, work, flops_per_s, bytes_per_s }.serialize(serializer)
}

fn clock_name<S: Serializer>(clock: &Clock, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(clock.name())
}

/// Times training steps on the training images of a dataset, or on built-in images without one. `n_steps` is the number
/// of timed steps; with None, the sampler chooses it by time. A dataset has enough training images for a batch.
/// `progress` receives one line per stage. If `ranks` share the step, each rank must call it with the same arguments; the
/// profile is that of its own part.
///
/// # Errors
/// If the step exceeds a limit of the device, or the device fails.
pub fn measure(
    device: &Device,
    config: &StepConfig,
    dataset: Option<&Dataset>,
    ranks: Option<&Rc<dyn Ranks>>,
    n_steps: Option<usize>,
    progress: &dyn Fn(&str),
) -> Result<Profile, Error> {
    let effort = Effort { n: n_steps, ..EFFORT };
    let images = dataset.map_or(Timed::BuiltIn, |dataset| Timed::Of(&dataset.train));
    let timed = time_steps(device, config, images, ranks, effort, progress, &|| false)?;
    let TimedSteps { tape, n_own_shards, clock, peak, nodes, whole, waits, reductions } =
        timed.expect("nothing stops the sampler");

    let node = |(ix, seconds)| NodeProfile::new(&tape, n_own_shards, ix, &Sample::new(seconds));
    let nodes: Vec<NodeProfile> = nodes.into_iter().enumerate().map(node).collect();
    let mut ops = totals(&nodes, |node| node.op);
    sort_by(&mut ops, |a, b| b.timed.seconds.total_cmp(&a.timed.seconds));
    let whole = Sample::new(whole);
    Ok(Profile {
        device: device.name(),
        network: tape.name().to_string(),
        width: config.network.width,
        batch_size: config.batch_size,
        clock,
        n_steps: whole.n,
        peak,
        step_seconds: whole.median,
        wait_seconds: waits.iter().sum::<f64>() / waits.len() as f64,
        reduction: Reduction::of(ranks, &reductions),
        images: dataset.map_or("built-in", |dataset| dataset.name).to_string(),
        images_per_s: config.batch_size as f64 / whole.median,
        sum: Total::of("all nodes", &nodes),
        phases: totals(&nodes, |node| node.phase),
        layers: totals(&nodes, |node| &node.layer),
        ops,
        nodes,
    })
}

impl NodeProfile {
    /// Returns a node that was run for each of `n_own_shards` shards, or once if it belongs to the update.
    fn new(tape: &Tape, n_own_shards: usize, ix: usize, seconds: &Sample) -> Self {
        let node = &tape.nodes()[ix];
        let n_runs = tape.n_runs(node).min(n_own_shards);
        Self {
            ix,
            node: node.label(),
            phase: node.phase.name(),
            layer: node.layer().to_string(),
            op: node.op.name(),
            seconds_min: seconds.min,
            seconds_max: seconds.max,
            timed: TimedWork { seconds: seconds.median, work: Work::of(tape, node).times(n_runs) },
        }
    }
}

impl Total {
    /// Returns the total of some nodes.
    fn of<'a>(name: &str, nodes: impl IntoIterator<Item = &'a NodeProfile>) -> Self {
        let timed: Vec<TimedWork> = nodes.into_iter().map(|node| node.timed).collect();
        Self { name: name.to_string(), n_nodes: timed.len(), timed: timed.into_iter().sum() }
    }
}

/// Returns the totals of the nodes with the same name, in the order of each name's first node.
pub fn totals(nodes: &[NodeProfile], name: impl Fn(&NodeProfile) -> &str) -> Vec<Total> {
    let mut names: Vec<&str> = Vec::new();
    for node in nodes {
        if !names.contains(&name(node)) {
            names.push(name(node));
        }
    }
    let total = |of: &str| Total::of(of, nodes.iter().filter(|node| name(node) == of));
    names.into_iter().map(total).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_json_has_the_rates() {
        let timed = TimedWork { seconds: 0.5, work: Work { flops: 0, bytes: 4 } };
        let total = Total { name: "a".to_string(), n_nodes: 1, timed };
        let expected = r#"{"name":"a","n_nodes":1,"seconds":0.5,"flops":0,"bytes":4,"flops_per_s":null,"bytes_per_s":8.0}"#;
        assert_eq!(serde_json::to_string(&total).expect("numbers"), expected);
    }
}
