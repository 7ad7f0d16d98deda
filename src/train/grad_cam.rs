//! Grad-CAM (Selvaraju et al. 2017, "Grad-CAM: visual explanations from deep networks via gradient-based localization"):
//! the positions of an image that speak for its predicted class.
//!
//! Let A be the last feature map of the network, `[H, W, C]`, and z the logit of the predicted class. Each channel k has
//! a weight, the mean of the gradient over all positions:
//!
//! ```text
//! alpha[k]   =  1/(H·W)  sum over i, j of  dz / dA[i, j, k]
//! map[i, j]  =  max(0,  sum over k of  alpha[k] · A[i, j, k])
//! ```
//!
//! The map is then divided by its maximum, so it compares the positions of one image, not two images. It is as coarse as
//! A: 8x8 positions for a network for CIFAR, 7x7 for ResNet-50 at 224 pixels.

use super::loaded_step::LoadedStep;
use super::step::{self, StepConfig};
use super::{Evaluator, Predictions};
use crate::Error;
use crate::data::Split;
use crate::device::{Device, LoadOptions};
use crate::kernel::StepScalars;
use crate::tape::ValueId;

/// The logits of images, and their maps.
#[derive(Clone, PartialEq, Debug)]
pub struct Explained {
    /// The logits, `[n, classes]`.
    pub logits: Vec<f32>,
    /// Rows and columns of a map.
    pub size: [usize; 2],
    /// The map of each image for its predicted class, `[n, rows, columns]`. The largest value of a map is 1; a map without
    /// a position that speaks for the class is 0.
    pub maps: Vec<f32>,
}

impl Explained {
    /// Returns the map of an image, `[rows, columns]`.
    ///
    /// # Panics
    /// If there is no image with this number.
    pub fn map(&self, image: usize) -> &[f32] {
        let n = self.size[0] * self.size[1];
        &self.maps[image * n..][..n]
    }
}

/// Weights on a device, the evaluation step, and the gradient of its logits with respect to the last feature map.
pub struct Explainer {
    /// The evaluator of the step. It writes the weights.
    pub evaluator: Evaluator,
    feature_map: ValueId,
    d_logits: ValueId,
    d_feature_map: ValueId,
}

impl Explainer {
    /// Compiles the step. The weights are zero until [`Evaluator::set_weights`].
    ///
    /// # Errors
    /// If the step exceeds a limit of the device, or the device fails.
    pub fn new(device: &Device, config: &StepConfig) -> Result<Self, Error> {
        let mut config = config.clone();
        // The caller gives the weights to evaluate, averaged or not.
        config.update.ema = None;
        let step::Explanation { step, feature_map, d_logits, d_feature_map } =
            step::explanation(&config);
        let mut session = device.session(step.tape.state())?;
        let evaluation = LoadedStep::load(&mut *session, &config, step, LoadOptions::default())?;
        let evaluator = Evaluator { session, evaluation };
        Ok(Self { evaluator, feature_map, d_logits, d_feature_map })
    }

    /// Returns the logits and the map of every image of a split, in order; none if `stop` returned true before the end.
    ///
    /// # Errors
    /// If the device fails. [`StepError::LogitsNotFinite`](super::StepError::LogitsNotFinite) if a logit is NaN or
    /// infinite.
    pub fn explain(
        &mut self,
        split: &Split,
        stop: &dyn Fn() -> bool,
    ) -> Result<Option<Explained>, Error> {
        let Self { evaluator: Evaluator { session, evaluation }, .. } = self;
        let [batch_size, n_classes] = evaluation.tape().shape(self.d_logits)[..] else {
            panic!("logits have two axes")
        };
        let [_, h, w, n_channels] = evaluation.tape().shape(self.feature_map)[..] else {
            panic!("a feature map has four axes")
        };
        let mut explained = Explained { logits: Vec::new(), size: [h, w], maps: Vec::new() };
        let is_whole =
            evaluation.evaluate(&mut **session, split.into(), stop, |this, session, images| {
                let logits = this.read_logits(session, images)?;
                let predictions = Predictions::from_logits(&logits, n_classes);
                explained.logits.extend(logits);
                let mut d_logits = vec![0.0; batch_size * n_classes];
                for row in 0..images.len() {
                    d_logits[row * n_classes + predictions.class(row)] = 1.0;
                }
                // The layers behind the feature map run again, now with the classes.
                session.write(this.id, self.d_logits, &d_logits)?;
                session.run(this.id, &StepScalars::default())?;
                let [map, gradient] = [self.feature_map, self.d_feature_map]
                    .map(|value| session.read(this.id, value));
                let length = h * w * n_channels;
                for (map, gradient) in
                    map?.chunks(length).zip(gradient?.chunks(length)).take(images.len())
                {
                    explained.maps.extend(grad_cam(map, gradient, n_channels));
                }
                Ok(())
            })?;
        Ok(is_whole.then_some(explained))
    }
}

/// Returns the Grad-CAM map of an image, `[H, W]`, divided by its maximum; see the [module page](self). `feature_map` and
/// its gradient are `[H, W, n_channels]`. Sums are computed in f64.
fn grad_cam(feature_map: &[f32], gradient: &[f32], n_channels: usize) -> Vec<f32> {
    let n_positions = feature_map.len() / n_channels;
    let mut alpha = vec![0.0; n_channels];
    for position in gradient.chunks(n_channels) {
        alpha.iter_mut().zip(position).for_each(|(sum, &d)| *sum += f64::from(d));
    }
    alpha.iter_mut().for_each(|sum| *sum /= n_positions as f64);
    let weighted = |position: &[f32]| {
        let sum: f64 = position.iter().zip(&alpha).map(|(&a, alpha)| alpha * f64::from(a)).sum();
        sum.max(0.0)
    };
    let map: Vec<f64> = feature_map.chunks(n_channels).map(weighted).collect();
    let largest = map.iter().copied().fold(0.0, f64::max);
    let scale = if largest > 0.0 { 1.0 / largest } else { 0.0 };
    map.iter().map(|value| (value * scale) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::NetworkConfig;
    use crate::nn::networks::NETWORKS;
    use crate::tape::{Phase, ValueId};

    #[test]
    fn a_map_has_its_maximum_at_1_and_nothing_below_0() {
        // Two channels at three positions. The means of the gradients are 2 and -1.
        let (map, gradient) = ([1.0, 0.0, 1.0, 1.0, 0.0, 3.0], [6.0, 0.0, 0.0, 0.0, 0.0, -3.0]);
        assert_eq!(grad_cam(&map, &gradient, 2), [1.0, 0.5, 0.0]);
        assert_eq!(grad_cam(&map, &[0.0; 6], 2), [0.0; 3]);
    }

    #[test]
    fn every_network_has_a_feature_map_with_positions_and_differentiates_no_layer_in_front_of_it() {
        for &network in NETWORKS.iter() {
            let (name, [h, w, c]) = (network.name(), network.default_image());
            let width = network.default_width();
            let sized = NetworkConfig::new(network, width, 10).with_auxiliary([h, w, c]);
            let config = StepConfig { size: [h, w, c].into(), ..StepConfig::new(sized, 2) };
            let step::Explanation { step, feature_map, d_feature_map, .. } =
                step::explanation(&config);
            let [2, rows, columns, n_channels] = step.tape.shape(feature_map)[..] else {
                panic!("{name}: a feature map of {:?}", step.tape.shape(feature_map));
            };
            assert!(rows > 1 && columns > 1 && n_channels >= width, "{name}: {rows}x{columns}");
            assert_eq!(step.tape.shape(d_feature_map), [2, rows, columns, n_channels], "{name}");
            let front = &step.front.as_ref().expect("a split step").tape;
            let is_convolution = |label: &str| label.contains("conv2d");
            assert!(front.nodes().iter().all(|node| node.phase == Phase::Forward), "{name}");
            assert!(front.nodes().iter().any(|node| is_convolution(node.op.name())), "{name}");
            // At the published size, only the pool and the head are behind the map. The head of resnetv2 is a convolution
            // of one position.
            for node in step.tape.nodes() {
                let op = node.op.name();
                let has_positions = |&id: &ValueId| matches!(step.tape.shape(id)[..], [_, rows, columns, _] if rows * columns > 1);
                let is_layer = is_convolution(op) && node.outputs.iter().any(has_positions);
                assert!(!is_layer && !op.contains("d_weight"), "{name}: {op}");
            }
        }
    }
}
