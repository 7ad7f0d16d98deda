//! Fine-tuning: the settings that select which parameters a run trains, and from which epoch on.

use super::step::{self, StepConfig};
use super::{ConfigError, Recipe, Settings};
use crate::base::choice::nearest;
use crate::passes::Front;
use crate::tape::{Prefixes, StateEntry, Storage};

/// The number of names in an error about a prefix that selects no parameter.
const N_NEAREST: usize = 3;

impl Settings {
    /// Returns these settings for a run that caches features: augmentation that is not set is off. Other runs keep
    /// their settings.
    pub(super) fn with_fixed_images(self) -> Self {
        match self.cache_features {
            Some(true) => self.or_each(Self::default().without_augmentation()),
            _ => self,
        }
    }
}

impl Recipe {
    /// Returns the settings that the steps of an epoch, from 0, are recorded with. They differ from [`Recipe::step`] from
    /// the epoch on in which nothing is frozen any more.
    pub fn step_of(&self, epoch: usize) -> StepConfig {
        let mut step = self.step();
        if self.unfreezes_by(epoch) {
            step.update.frozen = Prefixes::default();
        }
        step
    }

    /// Returns true if nothing is frozen any more in an epoch, from 0, since an epoch up to it has unfrozen the frozen
    /// parameters.
    pub fn unfreezes_by(&self, epoch: usize) -> bool {
        self.unfreeze_at.is_some_and(|at| epoch + 1 >= at)
    }

    /// Returns the number of steps before the first step of the optimizer that trains in an epoch, from 0. It is 0 while
    /// parameters are frozen. The optimizer begins anew in the epoch that unfreezes them.
    pub fn optimizer_start(&self, epoch: usize, n_images: usize) -> u64 {
        let start = self.unfreeze_at.filter(|_| self.unfreezes_by(epoch));
        start.map_or(0, |at| ((at - 1) * self.steps_per_epoch(n_images)) as u64)
    }

    /// Checks the settings of fine-tuning whose range does not depend on the network.
    ///
    /// # Errors
    /// If a setting is out of its range, or needs another one.
    pub(super) fn check_fine_tuning(&self, settings: &Settings) -> Result<(), ConfigError> {
        let refuse = |setting, value: String, must: &str| {
            Err(ConfigError::Value { setting, value, must: must.to_string() })
        };
        if let Some(at) = self.unfreeze_at {
            let value = at.to_string();
            if self.freeze.is_none() {
                return refuse("unfreeze-at", value, "come with freeze");
            }
            if !(2..=self.epochs).contains(&at) {
                let must = match self.epochs {
                    1 => "come with 2 epochs or more, because the first epoch is always frozen"
                        .to_string(),
                    n => format!("be from 2 to {n}, the number of epochs"),
                };
                return refuse("unfreeze-at", value, &must);
            }
        }
        if !self.cache_features {
            return Ok(());
        }
        let refuse = |must| refuse("cache-features", "true".to_string(), must);
        if self.freeze.is_none() {
            return refuse("come with freeze: the outputs of frozen layers are cached");
        }
        if self.unfreeze_at.is_some() {
            return refuse(
                "come without unfreeze-at; a second run can start from the weights of the first, with nothing frozen",
            );
        }
        let source = settings.data.unwrap_or_default();
        let without = settings.clone().without_augmentation();
        if Self::with_defaults(&without, source, None)
            != Self::with_defaults(settings, source, None)
        {
            return refuse(
                "come without augmentation, because features are computed once for each image; \
                 leave out the settings that turn augmentation on",
            );
        }
        Ok(())
    }

    /// Checks that each prefix in the settings selects a parameter of the network, that a parameter is left to train, and
    /// that features can be cached.
    ///
    /// # Errors
    /// [`ConfigError::Value`] with the nearest names.
    pub(super) fn check_prefixes(&self) -> Result<(), ConfigError> {
        let [freeze, lr_scale] = [
            self.freeze.iter().flat_map(|prefixes| prefixes.iter()).collect::<Vec<_>>(),
            self.lr_scale.iter().flat_map(|scale| scale.prefixes()).collect(),
        ];
        if freeze.is_empty() && lr_scale.is_empty() {
            return Ok(());
        }
        let evaluation = step::evaluation(&StepConfig { batch_size: 1, ..self.step() }.undivided());
        let parameters = &evaluation.tape.state().parameters;
        let prefixes = prefixes(parameters);
        for (setting, given) in [("freeze", &freeze), ("lr-scale", &lr_scale)] {
            if let Some(&unknown) = given.iter().find(|given| !prefixes.contains(given)) {
                let network = self.network.name();
                let near = nearest(unknown, &prefixes, N_NEAREST).join(", ");
                let must = format!(
                    "be the name of a parameter of {network}, or its beginning up to a dot; the nearest are {near}"
                );
                return Err(ConfigError::Value { setting, value: unknown.to_string(), must });
            }
        }
        let is_frozen = |member: &StateEntry| evaluation.tape.is_frozen(&member.name);
        if parameters.iter().all(is_frozen) {
            let must = "leave a parameter to train".to_string();
            return Err(ConfigError::Value { setting: "freeze", value: freeze.join(","), must });
        }
        if evaluation.front.is_some_and(|front| !has_layers(&front)) {
            let (setting, value) = ("cache-features", "true".to_string());
            let first = &parameters[0].name;
            let must = format!("come with a frozen first layer; freeze does not have {first}");
            return Err(ConfigError::Value { setting, value, must });
        }
        Ok(())
    }
}

/// Returns true if a node of the front reads a parameter.
fn has_layers(front: &Front) -> bool {
    let mut inputs = front.tape.nodes().iter().flat_map(|node| &node.inputs);
    inputs.any(|&id| matches!(front.tape.value(id).storage, Storage::State { .. }))
}

/// Returns the names of parameters and their beginnings up to each dot, in the order of the parameters, each once.
fn prefixes(parameters: &[StateEntry]) -> Vec<&str> {
    let mut found = Vec::new();
    for member in parameters {
        let name = member.name.as_str();
        let ends = name.match_indices('.').map(|(at, _)| at).chain([name.len()]);
        for prefix in ends.map(|end| &name[..end]) {
            if !found.contains(&prefix) {
                found.push(prefix);
            }
        }
    }
    found
}

/// Returns a note for a recipe that freezes parameters without weights to start from.
pub fn note(recipe: &Recipe) -> Option<&'static str> {
    (recipe.freeze.is_some() && recipe.weights.is_none()).then_some(
        "freeze: the frozen layers keep random weights, because weights names no file to start from",
    )
}
