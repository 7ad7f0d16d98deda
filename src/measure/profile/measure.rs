//! Timing a training step.

use super::steps::{Effort, TimedSteps, time_steps};
use super::{NodeProfile, Profile, Total, Work, median, totals};
use crate::device::Device;
use crate::error::Error;
use crate::train::step::StepConfig;

/// As many steps as eight seconds hold, when nobody says how many; a median needs three.
const EFFORT: Effort = Effort { n_steps: None, seconds: 8.0, bounds: [3, 100] };

/// Times training steps on built-in images. `n_steps` says how many; else as many as there is time for.
/// `told` hears what is going on.
///
/// # Errors
/// When the step passes a limit of the device, or the device fails.
pub fn measure(
    device: &Device,
    config: &StepConfig,
    n_steps: Option<usize>,
    told: &dyn Fn(&str),
) -> Result<Profile, Error> {
    let timed = time_steps(device, config, Effort { n_steps, ..EFFORT }, told, &|| false)?;
    let TimedSteps { tape, clock, peak, nodes, whole } = timed.expect("nobody stops it");

    let node = |(ix, mut seconds): (usize, Vec<f64>)| NodeProfile::new(&tape, ix, &mut seconds);
    let nodes: Vec<NodeProfile> = nodes.into_iter().enumerate().map(node).collect();
    let mut ops = totals(&nodes, |node| node.op);
    ops.sort_by(|a, b| b.work.seconds.total_cmp(&a.work.seconds));
    let sum = nodes.iter().fold(Work::default(), |sum, node| sum.plus(node.work));
    Ok(Profile {
        device: device.name(),
        network: tape.name().to_string(),
        width: config.network.width,
        batch_size: config.batch_size,
        clock,
        n_steps: whole.len(),
        peak,
        step_seconds: median(&whole),
        sum: Total { name: "all nodes".to_string(), n_nodes: nodes.len(), work: sum },
        phases: totals(&nodes, |node| node.phase),
        layers: totals(&nodes, |node| &node.layer),
        ops,
        nodes,
    })
}
