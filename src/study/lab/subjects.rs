//! The networks that a study looks into: the one of `--weights`, or small ones that the study trains first.

use wgrad::nn::NetworkConfig;

use super::{Lab, Trained, Training};

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
    /// Returns the network of `--weights`, with the name `weights`. Without this flag, trains a network from each of
    /// `n_seeds` seeds, and returns them with the names `seed 0`, `seed 1` and so on.
    ///
    /// # Errors
    /// As for [`Trained::given`] and [`Trained::train`].
    pub fn subjects(
        &mut self,
        n_seeds: u64,
        recipe: Recipe,
    ) -> anyhow::Result<Vec<(String, Trained)>> {
        if let Some(given) = Trained::given(self)? {
            return Ok(vec![("weights".to_string(), given)]);
        }
        let width = self.width(recipe.width);
        let network = match self.network {
            Some(network) => NetworkConfig::new(network, width, self.images.n_classes()),
            None => self.named(recipe.network, width),
        };
        self.trained(n_seeds, network, recipe)
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
    ) -> anyhow::Result<Vec<(String, Trained)>> {
        let mut trained = Vec::new();
        for seed in self.seeds(n_seeds) {
            let step = self.images.step(network, recipe.batch_size);
            let training = Training { seed, ..Training::new(self, step, recipe.n_steps, 0.1) };
            let name = format!("{}, seed {seed}", network.network.name());
            trained.push((format!("seed {seed}"), Trained::train(self, &name, &training)?));
        }
        Ok(trained)
    }
}
