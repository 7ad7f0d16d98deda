//! Tasks on the images of a study: some of the classes, or the angle by which an image is turned.

use wgrad::data::Split;
use wgrad::data::batches::epoch_order;
use wgrad::nn::NetworkConfig;
use wgrad::tape::{Prefixes, Tape};
use wgrad::train::Trainer;

use super::subjects::Recipe;
use crate::study::lab::{Images, Lab, Stopped, Trained, Training};

/// Images with the classes of a task.
#[derive(Clone, Debug)]
pub struct Task {
    /// The training images.
    pub train: Split,
    /// The test images.
    pub test: Split,
    /// The number of classes.
    pub n_classes: usize,
}

impl Task {
    /// Returns the task of telling these classes apart.
    pub fn of_classes(images: &Images, classes: &[u16]) -> Self {
        let of = |split: &Split| {
            let number = |label: &u16| classes.iter().position(|class| class == label);
            let own = split.labels.iter().enumerate().filter(|(_, label)| number(label).is_some());
            let mut own = split.select(&own.map(|(ix, _)| ix as u32).collect::<Vec<_>>());
            own.labels = own.labels.iter().filter_map(number).map(|ix| ix as u16).collect();
            own
        };
        Self { train: of(images.train()), test: of(images.test()), n_classes: classes.len() }
    }

    /// Returns the task of finding the angle by which an image is turned: 0, 90, 180 or 270 degrees.
    pub fn of_turns(images: &Images) -> Self {
        let of = |split: &Split| {
            let turned = (0..split.len()).flat_map(|ix| {
                let square = split.image(ix).into_owned();
                (0..ix % 4).fold(square, |image, _| turn(&image, split.size.height))
            });
            let labels = (0..split.len()).map(|ix| (ix % 4) as u16).collect();
            Split::of(split.size, turned.collect::<Vec<u8>>(), labels)
        };
        Self { train: of(images.train()), test: of(images.test()), n_classes: 4 }
    }

    /// Returns the task with the first training images alone, at most `n`.
    pub fn first(&self, n: usize) -> Self {
        let numbers: Vec<u32> = (0..self.train.len().min(n) as u32).collect();
        Self { train: self.train.select(&numbers), ..self.clone() }
    }
}

impl Task {
    /// Trains a network from the initial weights of a seed, and returns it with its accuracy over the test images. The
    /// layers `copied` keep the weights of another network. Images are cropped but not mirrored, because a mirror changes
    /// the angle of a turned image.
    ///
    /// # Errors
    /// [`Stopped`] if a signal has arrived. If there are fewer images than a step has, or the device fails.
    pub fn train(
        &self,
        lab: &Lab<'_>,
        network: NetworkConfig,
        recipe: Recipe,
        seed: u64,
        copied: Option<(&Trained, Prefixes)>,
    ) -> anyhow::Result<(Trained, f64)> {
        let Recipe { batch_size, n_steps, .. } = recipe;
        let n_batches = self.train.len() / batch_size;
        anyhow::ensure!(n_batches > 0, "{} images for steps of {batch_size}", self.train.len());
        let mut step = lab.images.step(network, batch_size);
        step.augmentation.flip = false;
        if let Some((_, frozen)) = &copied {
            step.update.frozen = frozen.clone();
        }
        let training = Training { seed, ..Training::new(lab, step, n_steps, 0.1) };
        let mut trainer = Trainer::new(lab.device, &training.step, seed)?;
        let (layout, weights) = (trainer.state.layout.clone(), trainer.state.weights()?);
        let mut trained = Trained { network, layout, weights };
        if let Some((base, names)) = copied {
            let mut base = base.clone();
            for name in base.names_below("").iter().filter(|name| names.select(name)) {
                let values = base.member(name).to_vec();
                trained.member(name).copy_from_slice(&values);
            }
            trainer.state.set_weights(&trained.weights)?;
        }
        for step in 0..n_steps {
            lab.check_stop()?;
            let epoch = step / n_batches;
            let order = epoch_order(seed, epoch as u64, self.train.len());
            let images = &order[step % n_batches * batch_size..][..batch_size];
            trainer.step(&self.train, images, epoch, training.schedule.rate(step))?;
        }
        let metrics = trainer.evaluate(&self.test, &|| lab.is_stopped())?.ok_or(Stopped)?;
        trained.weights = trainer.state.weights()?;
        Ok((trained, metrics.accuracy()))
    }
}

/// Returns the names of all layers with weights up to a node.
///
/// # Errors
/// If a name is not a prefix.
pub fn layers_up_to(tape: &Tape, end: usize) -> anyhow::Result<Prefixes> {
    let nodes = tape.nodes()[..=end].iter();
    let with_weights =
        nodes.filter(|node| node.inputs.iter().any(|&id| tape.member_of(id).is_some()));
    let names: Vec<&str> = with_weights.map(|node| node.scope.as_str()).collect();
    names.join(",").parse().map_err(anyhow::Error::msg)
}

/// Returns square planes, `[C, side, side]`, turned by 90 degrees clockwise.
fn turn(planes: &[u8], side: usize) -> Vec<u8> {
    let plane = |plane: &[u8]| {
        let at = |ix: usize| plane[(side - 1 - ix % side) * side + ix / side];
        (0..side * side).map(at).collect::<Vec<u8>>()
    };
    planes.chunks_exact(side * side).flat_map(plane).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_turns_are_none() {
        let planes = [1, 2, 3, 4, 5, 6, 7, 8];
        assert_eq!(turn(&planes, 2), [3, 1, 4, 2, 7, 5, 8, 6]);
        assert_eq!((0..4).fold(planes.to_vec(), |planes, _| turn(&planes, 2)), planes);
    }
}
