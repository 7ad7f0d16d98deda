//! A network with weights that a study may edit.

use std::fs;

use wgrad::data::Split;
use wgrad::nn::{NetworkConfig, Weights, WeightsFile};
use wgrad::tape::{StateBuffer, StateLayout};
use wgrad::train::{Evaluator, Predictions};

use super::{Lab, Stopped, Training};

/// The number of images in a step of evaluation.
const BATCH_SIZE: usize = 100;

/// A network, its trained weights, and their names.
#[derive(Clone)]
pub struct Trained {
    /// The network.
    pub network: NetworkConfig,
    /// The names, shapes and offsets of the weights.
    pub layout: StateLayout,
    /// The weights.
    pub weights: Weights,
}

impl Trained {
    /// Returns a network with the initial weights of seed 0 for the images of a lab.
    ///
    /// # Errors
    /// If the network does not take images of this size.
    pub fn empty(lab: &Lab<'_>, network: NetworkConfig) -> anyhow::Result<Self> {
        let image = lab.images.size().channels_last();
        network.network.check_input(image).map_err(anyhow::Error::msg)?;
        let layout = network.tape(image).state().clone();
        let weights = Weights::initial(&layout, 0);
        Ok(Self { network, layout, weights })
    }

    /// Returns the network of the flag `--weights`; none without this flag.
    ///
    /// # Errors
    /// If the file does not have the weights of the network.
    pub fn given(lab: &Lab<'_>) -> anyhow::Result<Option<Self>> {
        let Some(file) = lab.weights else { return Ok(None) };
        let network = file.network(lab.network, lab.settings.width)?;
        let empty = Self::empty(lab, network)?;
        let (weights, _) = file.weights_of(&network, &empty.layout, false, 0)?;
        Ok(Some(Self { weights, ..empty }))
    }

    /// Trains a network, or reads it from the study's folder if an interrupted process has trained it there under this
    /// name.
    ///
    /// # Errors
    /// As for [`Training::run`], and if the folder cannot be read or written.
    pub fn train(lab: &mut Lab<'_>, name: &str, training: &Training) -> anyhow::Result<Self> {
        let empty = Self::empty(lab, training.step.network)?;
        let path = lab.folder().join(format!("{name}.safetensors"));
        let key = format!("training/{name}");
        if lab.record.number(&format!("{key}/test error")).is_some() && path.exists() {
            let (weights, _) = WeightsFile::read(&path)?.weights(&empty.layout)?;
            return Ok(Self { weights, ..empty });
        }
        let mut weights = None;
        let trained = &mut weights;
        lab.measure(&key, |lab| {
            let (mut trainer, curve) = training.run(lab)?;
            *trained = Some(trainer.state.weights()?);
            Ok(curve.measurements())
        })?;
        // The record may have the errors of a run whose weights were lost.
        let weights = match weights {
            Some(weights) => weights,
            None => training.run(lab)?.0.state.weights()?,
        };
        fs::create_dir_all(lab.folder())?;
        weights.save(&empty.layout, None, &path)?;
        Ok(Self { weights, ..empty })
    }

    /// Returns the elements of a parameter or running statistic, to read or to edit.
    ///
    /// # Panics
    /// If the network has no such member.
    pub fn member(&mut self, name: &str) -> &mut [f32] {
        let (buffer, entry) =
            self.layout.find(name).unwrap_or_else(|| panic!("{name}: no such weight"));
        let range = entry.range();
        match buffer {
            StateBuffer::RunningStatistics => &mut self.weights.running_statistics[range],
            _ => &mut self.weights.parameters[range],
        }
    }

    /// Returns the names of all parameters and running statistics that begin with `prefix`, without the prefix.
    pub fn names_below(&self, prefix: &str) -> Vec<String> {
        let members = self.layout.parameters.iter().chain(&self.layout.running_statistics);
        members.filter_map(|entry| Some(entry.name.strip_prefix(prefix)?.to_string())).collect()
    }

    /// Multiplies the output of a batch norm by a factor: its weight and its bias.
    pub fn scale(&mut self, batch_norm: &str, factor: f32) {
        for part in ["weight", "bias"] {
            self.member(&format!("{batch_norm}.{part}")).iter_mut().for_each(|w| *w *= factor);
        }
    }

    /// Exchanges the weights of two layers or blocks of the same shape, such as `layer1.1` and `layer1.2`.
    pub fn swap(&mut self, a: &str, b: &str) {
        for name in self.names_below(&format!("{a}.")) {
            let of_a = self.member(&format!("{a}.{name}")).to_vec();
            let of_b = self.member(&format!("{b}.{name}")).to_vec();
            self.member(&format!("{a}.{name}")).copy_from_slice(&of_b);
            self.member(&format!("{b}.{name}")).copy_from_slice(&of_a);
        }
    }

    /// Copies the weights of a layer or block of another network.
    pub fn copy(&mut self, to: &str, from: &mut Self, from_name: &str) {
        for name in from.names_below(from_name) {
            let values = from.member(&format!("{from_name}{name}")).to_vec();
            self.member(&format!("{to}{name}")).copy_from_slice(&values);
        }
    }

    /// Returns an evaluator of this network. [`Trained::error`] takes it with other weights of the same layout.
    ///
    /// # Errors
    /// If the device fails.
    pub fn evaluator(&self, lab: &Lab<'_>) -> anyhow::Result<Evaluator> {
        let n_images = lab.images.test().len();
        let config = lab.images.step(self.network, BATCH_SIZE.min(n_images));
        Ok(Evaluator::new(lab.device, &config)?)
    }

    /// Returns the error over all images of a split, a fraction of 1.
    ///
    /// # Errors
    /// [`Stopped`] if a signal has arrived, and if the device fails. Logits that are not finite count as errors.
    pub fn error(
        &self,
        lab: &Lab<'_>,
        evaluator: &mut Evaluator,
        split: &Split,
    ) -> anyhow::Result<f64> {
        evaluator.set_weights(&self.weights)?;
        let metrics = evaluator.evaluate(split, &|| lab.is_stopped())?;
        Ok(1.0 - metrics.ok_or(Stopped)?.accuracy())
    }

    /// Returns the predictions for all images of a split.
    ///
    /// # Errors
    /// As for [`Trained::error`], and if a logit is not finite.
    pub fn predictions(&self, lab: &Lab<'_>, split: &Split) -> anyhow::Result<Predictions> {
        let mut evaluator = self.evaluator(lab)?;
        evaluator.set_weights(&self.weights)?;
        let logits = evaluator.logits(split, &|| lab.is_stopped())?.ok_or(Stopped)?;
        Ok(Predictions::from_logits(&logits, self.network.classes))
    }
}
