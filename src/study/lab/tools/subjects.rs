//! The networks that a study looks into: the one of `--weights`, or small ones that the study trains first.

use wgrad::nn::{NetworkConfig, Weights};
use wgrad::tape::Mode;

use crate::study::lab::{Lab, Probe, Trained, Training};

/// The training of the networks that a study looks into.
#[derive(Clone, Copy, Debug)]
pub struct Recipe {
    /// The name of the network, in place of which `--network` may name another one.
    pub network: &'static str,
    /// The number of channels of the first layer, in place of which `--width` may give another one.
    pub width: usize,
    /// The number of images in a step.
    pub batch_size: usize,
    /// The number of steps.
    pub n_steps: usize,
}

impl Lab<'_> {
    /// Returns the network of `--weights`, under the seed of the study. Without this flag, trains a network from each of
    /// `n_seeds` seeds, and returns them with their seeds.
    ///
    /// # Errors
    /// As for [`Trained::given`] and [`Trained::train`].
    pub fn subjects(
        &mut self,
        n_seeds: u64,
        recipe: Recipe,
    ) -> anyhow::Result<Vec<(u64, Trained)>> {
        if let Some(given) = Trained::given(self)? {
            return Ok(vec![(self.seed(), given)]);
        }
        let network = self.subject(recipe)?;
        self.trained(n_seeds, network, recipe)
    }

    /// Returns the network of `--weights`. Without this flag, trains one network from the seed of the study.
    ///
    /// # Errors
    /// As for [`Lab::subjects`].
    pub fn one_subject(&mut self, recipe: Recipe) -> anyhow::Result<Trained> {
        Ok(self.subjects(1, recipe)?.remove(0).1)
    }

    /// Returns the network of `--weights` or `--network`; without these flags, that of the recipe.
    ///
    /// # Errors
    /// If the file of weights has no such network.
    pub fn subject(&self, recipe: Recipe) -> anyhow::Result<NetworkConfig> {
        let width = self.width(recipe.width);
        Ok(match (self.weights, self.network) {
            (Some(file), network) => file.network(network, self.settings.width)?,
            (None, Some(network)) => NetworkConfig::new(network, width, self.images.n_classes()),
            (None, None) => self.named(recipe.network, width),
        })
    }

    /// Returns the initial weights of a network, with the running statistics of the first training images. So its batch
    /// norms normalise in evaluation as in the first step of training.
    ///
    /// # Errors
    /// If the device fails.
    pub fn initial(&self, network: NetworkConfig, seed: u64) -> anyhow::Result<Weights> {
        let train = self.images.train();
        let numbers: Vec<u32> = (0..train.len().min(100) as u32).collect();
        let [h, w, c] = train.size.channels_last();
        let (x, labels) = self.images.arrays(train, &numbers);
        let shape = [numbers.len(), h, w, c];
        let mut probe = Probe::new(self.device, Mode::Train, &shape, |tape, x, _| {
            vec![network.record(tape, x)]
        })?;
        let mut weights = probe.initialise(seed)?;
        probe.run(&x, &labels)?;
        weights.running_statistics = probe.batch_statistics()?;
        Ok(weights)
    }

    /// Trains a network from each of `n_seeds` seeds, as [`Lab::subjects`] does. The recipe's network does not matter.
    ///
    /// # Errors
    /// As for [`Trained::train`].
    pub fn trained(
        &mut self,
        n_seeds: u64,
        network: NetworkConfig,
        recipe: Recipe,
    ) -> anyhow::Result<Vec<(u64, Trained)>> {
        let mut trained = Vec::new();
        for seed in self.seeds(n_seeds) {
            let step = self.images.step(network, recipe.batch_size);
            let training = Training::new(self, step, recipe.n_steps, 0.1);
            // A measurement before the end takes as long as ten steps.
            let training = Training { seed, every: recipe.n_steps, ..training };
            let name = format!("{}, seed {seed}", network.network.name());
            trained.push((seed, Trained::train(self, &name, &training)?));
        }
        Ok(trained)
    }
}
