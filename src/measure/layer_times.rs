//! The time of each layer of a training step, for the summary of a run. `wgrad profile` measures more closely.

use std::time::{Duration, Instant};

use crate::data::Split;
use crate::error::Error;
use crate::tape::Node;
use crate::train::Trainer;
use crate::train::folder::LayerTime;

/// The longest time that the steps behind the first may take.
const TIME: Duration = Duration::from_secs(2);

/// The largest number of timed steps.
const MAX_STEPS: usize = 9;

/// Times several steps on the images of a split with these numbers, a whole batch, and leaves the network as it was.
/// Returns no times when `stop` returned true on the way.
///
/// # Errors
/// If the device fails.
pub fn measure(
    trainer: &mut Trainer,
    split: &Split,
    images: &[u32],
    stop: &dyn Fn() -> bool,
) -> Result<Vec<LayerTime>, Error> {
    if stop() {
        return Ok(Vec::new());
    }
    let before = trainer.state.snapshot()?;
    let begun = Instant::now();
    let mut seconds: Vec<Vec<f64>> = vec![Vec::new(); trainer.tape().nodes().len()];
    for n_steps in 0..MAX_STEPS {
        if n_steps > 0 && (begun.elapsed() > TIME || stop()) {
            break;
        }
        // A learning rate of 0 keeps the weights finite; a step's time does not depend on them.
        let times = trainer.timed_step(split, images, 0, 0.0)?;
        seconds.iter_mut().zip(times.seconds).for_each(|(of_node, time)| of_node.push(time));
    }
    trainer.state.restore(&before)?;
    if stop() {
        return Ok(Vec::new());
    }

    let mut layers: Vec<LayerTime> = Vec::new();
    for (node, mut seconds) in trainer.tape().nodes().iter().zip(seconds) {
        seconds.sort_by(f64::total_cmp);
        let (name, seconds) = (layer(node), seconds[seconds.len() / 2]);
        match layers.iter_mut().find(|layer| layer.name == name) {
            Some(layer) => layer.seconds += seconds,
            None => layers.push(LayerTime { name, seconds }),
        }
    }
    Ok(layers)
}

fn layer(node: &Node) -> String {
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
    fn every_node_belongs_to_a_layer_and_nothing_is_changed() {
        let config = StepConfig::new(ResNet9 { width: 2, classes: N_CLASSES }, 4);
        let device = Device::cpu(OpenOptions::default());
        let mut trainer = Trainer::new(&device, &config, 0).expect("a small network");
        let split = shapes::draw_train(0, 4);
        let images = batches::in_order(4);
        trainer.step(&split, &images, 0, 0.01).expect("a step");
        let before = trainer.state.snapshot().expect("readable");
        let times = measure(&mut trainer, &split, &images, &|| false).expect("timed");
        assert_eq!(trainer.state.snapshot().expect("readable"), before);
        let names: Vec<_> = times.iter().map(|layer| layer.name.as_str()).collect();
        for name in ["augment", "prep, forward", "res2, backward", "loss, forward", "adam"] {
            assert!(names.contains(&name), "{name} is not in {names:?}");
        }
        assert!(times.iter().all(|layer| layer.seconds >= 0.0), "{times:?}");
        assert!(times.iter().map(|layer| layer.seconds).sum::<f64>() > 0.0);

        // Stopped in the middle: no times are returned, and nothing is changed.
        let n_asked = Cell::new(0);
        let stop = || n_asked.replace(n_asked.get() + 1) >= 2;
        let times = measure(&mut trainer, &split, &images, &stop).expect("stopped");
        assert_eq!((times, trainer.state.snapshot().expect("readable")), (Vec::new(), before));
        assert!(n_asked.get() < MAX_STEPS, "it went on for all of its steps");
    }
}
