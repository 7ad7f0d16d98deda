//! How long each part of a training step takes, for the summary of a run. `wgrad profile` looks closer.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::Trainer;
use crate::data::Split;
use crate::error::Error;
use crate::tape::Node;

/// The time that measuring may take, beyond the first step.
const TIME: Duration = Duration::from_secs(2);

/// The most steps that are timed.
const MAX_STEPS: usize = 9;

/// A part of a training step.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Part {
    /// `layer1, backward`, or the op, of what belongs to no layer: `adam`.
    pub part: String,
    /// What its nodes take, in seconds: the sum of their medians over several steps.
    pub seconds: f64,
}

/// Times some steps on those images, a whole batch, and leaves the network as it was. No parts when `stop`
/// said so on the way.
///
/// # Errors
/// When the device fails.
pub fn measure(
    trainer: &mut Trainer,
    split: &Split,
    images: &[u32],
    stop: &dyn Fn() -> bool,
) -> Result<Vec<Part>, Error> {
    if stop() {
        return Ok(Vec::new());
    }
    let before = trainer.snapshot()?;
    let begun = Instant::now();
    let mut seconds: Vec<Vec<f64>> = vec![Vec::new(); trainer.tape().nodes().len()];
    for n_steps in 0..MAX_STEPS {
        if n_steps > 0 && (begun.elapsed() > TIME || stop()) {
            break;
        }
        // At a rate of 0: what the weights are does not matter here, but that they stay finite.
        let times = trainer.timed_step(split, images, 0, 0.0)?;
        seconds.iter_mut().zip(times.seconds).for_each(|(of_node, time)| of_node.push(time));
    }
    trainer.restore(&before)?;
    if stop() {
        return Ok(Vec::new());
    }

    let mut parts: Vec<Part> = Vec::new();
    for (node, mut seconds) in trainer.tape().nodes().iter().zip(seconds) {
        seconds.sort_by(f64::total_cmp);
        let (name, seconds) = (part(node), seconds[seconds.len() / 2]);
        match parts.iter_mut().find(|part| part.part == name) {
            Some(part) => part.seconds += seconds,
            None => parts.push(Part { part: name, seconds }),
        }
    }
    Ok(parts)
}

fn part(node: &Node) -> String {
    match node.layer() {
        "" => node.op.name().split('.').next().unwrap_or_default().replace('_', " "),
        layer => format!("{layer}, {}", node.phase.name()),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::data::{N_CLASSES, batches, shapes};
    use crate::device::{Device, OpenOptions};
    use crate::nn::ResNet9;
    use crate::train::step::StepConfig;

    #[test]
    fn every_node_belongs_to_a_part_and_nothing_is_changed() {
        let config = StepConfig::new(ResNet9 { width: 2, classes: N_CLASSES }, 4);
        let device = Device::cpu(OpenOptions::default());
        let mut trainer = Trainer::new(&device, &config, 0).expect("a small network");
        let split = shapes::draw_train(0, 4);
        let images = batches::in_order(4);
        trainer.step(&split, &images, 0, 0.01).expect("a step");
        let before = trainer.snapshot().expect("readable");
        let parts = measure(&mut trainer, &split, &images, &|| false).expect("timed");
        assert_eq!(trainer.snapshot().expect("readable"), before);
        let names: Vec<_> = parts.iter().map(|part| part.part.as_str()).collect();
        for name in ["augment", "prep, forward", "res2, backward", "loss, forward", "adam"] {
            assert!(names.contains(&name), "{name} is not in {names:?}");
        }
        assert!(parts.iter().all(|part| part.seconds >= 0.0), "{parts:?}");
        assert!(parts.iter().map(|part| part.seconds).sum::<f64>() > 0.0);

        // Asked to stop in the middle: nothing is said then, and nothing changed either.
        let n_asked = Cell::new(0);
        let stop = || n_asked.replace(n_asked.get() + 1) >= 2;
        let parts = measure(&mut trainer, &split, &images, &stop).expect("stopped");
        assert_eq!((parts, trainer.snapshot().expect("readable")), (Vec::new(), before));
        assert!(n_asked.get() < MAX_STEPS, "it went on for all of its steps");
    }
}
