//! The loss along the direction of its gradient.

use wgrad::data::batches;
use wgrad::nn::{NetworkConfig, Weights};
use wgrad::ops::cross_entropy::cross_entropy;
use wgrad::passes::backward;
use wgrad::tape::Mode;

use crate::study::lab::{Lab, Probe};

/// The largest loss of a [`Line`]: it replaces a larger one, and one that is not finite.
const LARGEST: f64 = 100.0;

/// The loss along the direction of its gradient.
#[derive(Clone, Default, PartialEq, Debug)]
pub struct Line {
    /// The loss at the weights.
    pub loss: f64,
    /// The squared norm of the gradient at the weights.
    pub squared_norm: f64,
    /// The loss at each distance.
    pub losses: Vec<f64>,
    /// The cosine of the angle between the gradient at each distance and the gradient at the weights; 0 if it is not
    /// finite.
    pub cosines: Vec<f64>,
}

impl Line {
    /// Returns the largest of `distances` up to which every loss is lower than the loss at the weights; 0 if no loss is.
    pub fn falls_until(&self, distances: &[f64]) -> f64 {
        let n_lower = self.losses.iter().take_while(|&&loss| loss < self.loss).count();
        n_lower.checked_sub(1).map_or(0.0, |ix| distances[ix])
    }

    /// Returns the largest of `distances` up to which every gradient is within 60 degrees of the gradient at the weights; 0
    /// if the first is not.
    pub fn keeps_direction_until(&self, distances: &[f64]) -> f64 {
        let n_near = self.cosines.iter().take_while(|&&cosine| cosine >= 0.5).count();
        n_near.checked_sub(1).map_or(0.0, |ix| distances[ix])
    }
}

/// Returns the loss of one batch of training images at `weights - distance * gradient`, for each of `distances`. Batch
/// norms use the statistics of the batch.
///
/// # Errors
/// If the device fails.
pub fn line(
    lab: &Lab<'_>,
    network: NetworkConfig,
    weights: &Weights,
    distances: &[f64],
) -> anyhow::Result<Line> {
    let train = lab.images.train();
    let numbers = batches::in_order(train.len().min(lab.size([8, 128, 1024])));
    let (x, labels) = lab.images.arrays(train, &numbers);
    let [h, w, c] = lab.images.size().channels_last();
    let shape = [numbers.len(), h, w, c];
    let mut probe = Probe::new(lab.device, Mode::Train, &shape, |tape, x, labels| {
        let logits = network.record(tape, x);
        let loss = cross_entropy(tape, logits, labels, 0.0).loss;
        backward(tape, loss);
        vec![loss]
    })?;
    let mut at = |weights: &Weights| -> anyhow::Result<(f64, Vec<f32>)> {
        probe.set_weights(weights)?;
        let loss = f64::from(probe.run(&x, &labels)?[0][0]);
        Ok((if loss < LARGEST { loss } else { LARGEST }, probe.gradients()?))
    };
    let (loss, gradient) = at(weights)?;
    let squared_norm = dot(&gradient, &gradient);
    let mut line = Line { loss, squared_norm, ..Line::default() };
    for &distance in distances {
        let mut moved = weights.clone();
        for (weight, d) in moved.parameters.iter_mut().zip(&gradient) {
            *weight -= distance as f32 * d;
        }
        let (loss, there) = at(&moved)?;
        let cosine = dot(&gradient, &there) / (squared_norm * dot(&there, &there)).sqrt();
        line.losses.push(loss);
        line.cosines.push(if cosine.is_finite() { cosine } else { 0.0 });
    }
    Ok(line)
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
}
