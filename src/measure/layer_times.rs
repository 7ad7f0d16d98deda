//! The time of each layer of a training step, for a run's summary. `wgrad profile` measures in more detail.

use super::{Effort, Sample};
use crate::Error;
use crate::data::Split;
use crate::measure::sampler::Sampler;
use crate::tape::Node;
use crate::train::Trainer;
use crate::train::folder::LayerTime;

/// Effort of a measurement: about two seconds, and at most nine steps. That is enough for a median.
const EFFORT: Effort = Effort { n: None, seconds: 2.0, bounds: [1, 9] };

/// Times several steps on one batch, the images of `split` with the indices `images`, and restores the network
/// afterwards. Returns the sum of the median times of the nodes for each layer and phase. Returns no times if `stop`
/// returned true.
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
    let mut sampler = Sampler::new(trainer, split, images);
    let steps = EFFORT.repeat(None, stop, || sampler.nodes())?;
    trainer.state.restore(&before)?;
    let Some(steps) = steps.filter(|_| !stop()) else { return Ok(Vec::new()) };

    let mut layers: Vec<LayerTime> = Vec::new();
    for (ix, node) in trainer.tape().nodes().iter().enumerate() {
        let seconds = Sample::new(steps.iter().map(|times| times.seconds[ix]).collect()).median;
        let name = layer(node);
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
    use crate::data::{batches, shapes};
    use crate::device::{Device, OpenOptions};
    use crate::nn::ResNet9;
    use crate::train::step::StepConfig;

    #[test]
    fn every_node_belongs_to_a_layer_and_the_network_is_restored() {
        let config = StepConfig::new(ResNet9 { width: 2, classes: 10 }, 4);
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

        // `stop` returns true before all steps have run. Then no times are returned, and the network is unchanged.
        let n_asked = Cell::new(0);
        let stop = || n_asked.replace(n_asked.get() + 1) >= 2;
        let times = measure(&mut trainer, &split, &images, &stop).expect("stopped");
        assert_eq!((times, trainer.state.snapshot().expect("readable")), (Vec::new(), before));
        assert!(n_asked.get() < EFFORT.bounds[1], "all steps ran");
    }
}
