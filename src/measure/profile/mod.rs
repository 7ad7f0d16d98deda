//! Where the time of a training step goes: each node of its tape, timed on the device.
//!
//! [`measure`] makes a [`Profile`] of timed steps, which [`table`] prints and [`svg`] draws. `docs/profiling.md` says
//! how to read them.

use serde::{Serialize, Serializer};

use super::sampler::{TimedSteps, time_steps};
use super::{Effort, Sample, TimedWork};
use crate::Error;
use crate::device::{Clock, Device, Peaks};
use crate::passes::Work;
use crate::tape::Tape;
use crate::train::step::StepConfig;

pub mod svg;
pub mod table;

/// Steps that are timed unless their number is given: as many as eight seconds hold. A median needs three.
const EFFORT: Effort = Effort { n: None, seconds: 8.0, bounds: [3, 100] };

/// A training step, timed.
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
    /// Clock of the nodes.
    #[serde(serialize_with = "clock_name")]
    pub clock: Clock,
    /// Number of steps that the medians are of.
    pub n_steps: usize,
    /// Peaks of the device, as measured.
    pub peak: Peaks,
    /// Time of a step without a clock on its nodes, in seconds: the median, by the host's clock.
    pub step_seconds: f64,
    /// All nodes: the sum of their medians.
    pub sum: Total,
    /// Every node, in the order of the tape.
    pub nodes: Vec<NodeProfile>,
    /// Totals by part of the step, in order.
    pub phases: Vec<Total>,
    /// Totals by layer of the network, forward, backward and all, in the order of the forward pass.
    pub layers: Vec<Total>,
    /// Totals by kind of op, the most time first.
    pub ops: Vec<Total>,
}

/// A node, timed.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct NodeProfile {
    /// Index on the tape.
    pub ix: usize,
    /// Name: `layer1.0.conv2d.d_weight`.
    pub node: String,
    /// Phase: `forward`, `backward` or `update`.
    pub phase: &'static str,
    /// Layer: `layer1`. Empty for what belongs to none.
    pub layer: String,
    /// Op: `conv2d.d_weight`.
    pub op: &'static str,
    /// Shortest time, in seconds.
    pub seconds_min: f64,
    /// Longest time, in seconds.
    pub seconds_max: f64,
    /// Median time and work.
    #[serde(flatten, serialize_with = "rates")]
    pub timed: TimedWork,
}

/// Nodes taken together.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Total {
    /// What they have in common.
    pub name: String,
    /// Number of nodes.
    pub n_nodes: usize,
    /// Sum of their times and of their work.
    #[serde(flatten, serialize_with = "rates")]
    pub timed: TimedWork,
}

/// Writes time and work with the rates that follow from them.
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

/// Times training steps on built-in images. `n_steps` is their number; without it, the sampler takes as many as there
/// is time for. `told` gets what is going on.
///
/// # Errors
/// If the step passes a limit of the device, or the device fails.
pub fn measure(
    device: &Device,
    config: &StepConfig,
    n_steps: Option<usize>,
    told: &dyn Fn(&str),
) -> Result<Profile, Error> {
    let effort = Effort { n: n_steps, ..EFFORT };
    let timed = time_steps(device, config, effort, told, &|| false)?;
    let TimedSteps { tape, clock, peak, nodes, whole } = timed.expect("it is not stopped");

    let node = |(ix, seconds)| NodeProfile::new(&tape, ix, &Sample::new(seconds));
    let nodes: Vec<NodeProfile> = nodes.into_iter().enumerate().map(node).collect();
    let mut ops = totals(&nodes, |node| node.op);
    ops.sort_by(|a, b| b.timed.seconds.total_cmp(&a.timed.seconds));
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
        sum: Total::of("all nodes", &nodes),
        phases: totals(&nodes, |node| node.phase),
        layers: totals(&nodes, |node| &node.layer),
        ops,
        nodes,
    })
}

impl NodeProfile {
    fn new(tape: &Tape, ix: usize, seconds: &Sample) -> Self {
        let node = &tape.nodes()[ix];
        Self {
            ix,
            node: node.label(),
            phase: node.phase.name(),
            layer: node.layer().to_string(),
            op: node.op.name(),
            seconds_min: seconds.min,
            seconds_max: seconds.max,
            timed: TimedWork { seconds: seconds.median, work: Work::of(tape, node) },
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

/// Returns totals of the nodes with the same name, in the order in which each name first comes.
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
    fn files_have_the_rates() {
        let timed = TimedWork { seconds: 0.5, work: Work { flops: 0, bytes: 4 } };
        let total = Total { name: "a".to_string(), n_nodes: 1, timed };
        let expected = r#"{"name":"a","n_nodes":1,"seconds":0.5,"flops":0,"bytes":4,"flops_per_s":null,"bytes_per_s":8.0}"#;
        assert_eq!(serde_json::to_string(&total).expect("numbers"), expected);
    }
}
