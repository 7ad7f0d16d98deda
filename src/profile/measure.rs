//! Timing a training step.

use std::time::Instant;

use super::{NodeProfile, Profile, Total, Work, median, totals};
use crate::data::{Split, batches, shapes};
use crate::device::{Device, NodeTimes};
use crate::error::Error;
use crate::train::Trainer;
use crate::train::recipe::SHAPES_SEED;
use crate::train::step::StepConfig;

/// Steps before the first that is timed: kernels are loaded, clocks rise, pages come in.
const WARM_UP_STEPS: usize = 2;

/// Ordinary steps behind each that is timed: the host prepares one while the device runs another.
const ROW: usize = 2;

/// The time that all steps may take together when nobody says how many.
const SECONDS: f64 = 8.0;

/// The fewest timed steps then, which a median needs, and the most.
const STEPS: [usize; 2] = [3, 100];

/// Too low a rate for the network to change much while it is timed.
const LR: f64 = 1e-5;

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
    told("measuring what the device can do at best");
    let peak = device.peaks()?;
    told("compiling the step");
    let split = shapes::draw_train(SHAPES_SEED, config.batch_size);
    let images = batches::in_order(split.len());
    let mut trainer = Trainer::new(device, config, 0)?;
    trainer.warm_up()?;
    for _ in 0..WARM_UP_STEPS {
        trainer.step(&split, &images, 0, LR)?;
    }
    trainer.take_metrics()?;

    let begun = Instant::now();
    let first = time_round(&mut trainer, &split, &images)?;
    let that_fit = (SECONDS / begun.elapsed().as_secs_f64()) as usize;
    let n_steps = n_steps.unwrap_or(that_fit.clamp(STEPS[0], STEPS[1]));
    told(&format!("timing {n_steps} steps"));
    let mut rounds = vec![first];
    for _ in 1..n_steps {
        rounds.push(time_round(&mut trainer, &split, &images)?);
    }
    trainer.take_metrics()?;
    let (steps, mut whole): (Vec<NodeTimes>, Vec<f64>) = rounds.into_iter().unzip();
    whole.sort_by(f64::total_cmp);

    let nodes = nodes(&trainer, &steps);
    let mut ops = totals(&nodes, |node| node.op);
    ops.sort_by(|a, b| b.work.seconds.total_cmp(&a.work.seconds));
    let sum = nodes.iter().fold(Work::default(), |sum, node| sum.plus(node.work));
    Ok(Profile {
        device: device.name(),
        network: trainer.tape().name().to_string(),
        width: config.network.width,
        batch_size: config.batch_size,
        clock: steps[0].clock,
        n_steps,
        peak,
        step_seconds: median(&whole),
        sum: Total { name: "all nodes".to_string(), n_nodes: nodes.len(), work: sum },
        phases: totals(&nodes, |node| node.phase),
        layers: totals(&nodes, |node| &node.layer),
        ops,
        nodes,
    })
}

/// A step with a clock on every node; and the seconds of an ordinary one, by the host's clock, of a few in a
/// row behind it: turn by turn, so that a machine that grows faster or slower does so for both.
fn time_round(
    trainer: &mut Trainer,
    split: &Split,
    images: &[u32],
) -> Result<(NodeTimes, f64), Error> {
    let times = trainer.timed_step(split, images, 0, LR)?;
    let begun = Instant::now();
    for _ in 0..ROW {
        trainer.step(split, images, 0, LR)?;
    }
    trainer.session().wait()?;
    Ok((times, begun.elapsed().as_secs_f64() / ROW as f64))
}

/// Each node with its times of all steps.
fn nodes(trainer: &Trainer, steps: &[NodeTimes]) -> Vec<NodeProfile> {
    let tape = trainer.tape();
    let node = |ix: usize| {
        let mut seconds: Vec<f64> = steps.iter().map(|step| step.seconds[ix]).collect();
        NodeProfile::new(tape, ix, &mut seconds)
    };
    (0..tape.nodes().len()).map(node).collect()
}
