//! Recipes from settings: the defaults of a dataset are filled in.

use std::num::NonZeroU16;
use std::path::Path;

use super::Recipe;
use crate::data::{Dataset, Defaults, Source, pictures};
use crate::nn::networks::{self, NetworkRef};
use crate::train::ConfigError;
use crate::train::settings::Settings;
use crate::train::units::{Classes, PerChannel};

impl Recipe {
    /// Returns the settings, completed with the defaults for a loaded dataset, and checks them.
    ///
    /// # Errors
    /// If a setting is out of its range. The error names the setting.
    pub fn resolve(settings: &Settings, dataset: &Dataset) -> Result<Self, ConfigError> {
        let source = Source::from_name(dataset.name).unwrap_or_default();
        let mut recipe = Self::with_defaults(settings, source, dataset.dir.as_deref());
        let mut spec = recipe.spec();
        if source.is_folder() {
            // The number of classes is in the folder, which may be removed later.
            let n_classes = dataset.spec.n_classes();
            recipe.classes.get_or_insert(Classes::Number(n_classes));
            spec.mean.clone_from(&dataset.spec.mean);
            spec.standard_deviation.clone_from(&dataset.spec.standard_deviation);
            if settings.batch_size.is_none() {
                recipe.batch_size = recipe.batch_size.min(dataset.train.len().max(1));
            }
        }
        // The run's `config.toml` records the mean and the standard deviation of the images. So another version of the
        // program, with other defaults, reads the same numbers.
        for (numbers, own) in
            [(&mut recipe.mean, spec.mean), (&mut recipe.std, spec.standard_deviation)]
        {
            if matches!(numbers, None | Some(PerChannel::Auto)) {
                *numbers = Some(PerChannel::Numbers(own));
            }
        }
        settings.check_restrictions(&recipe)?;
        recipe.check_fine_tuning(settings)?;
        recipe.check(dataset.train.len())?;
        let n_classes = recipe.network().classes;
        if let Some(weights) = &mut recipe.class_weights {
            weights.balance(&dataset.train.labels, n_classes);
        }
        recipe.check_prefixes()?;
        Ok(recipe)
    }

    /// Reads a recipe from the text of a run's `config.toml`. Does not read the dataset, which may have been removed
    /// since.
    ///
    /// # Errors
    /// If the text is not a settings file, or a setting is out of its range. The error is the reason, in words.
    pub fn parse(config: &str) -> Result<Self, String> {
        let settings = Settings::parse(config).map_err(|error| error.to_string())?.completed();
        let source = settings.data.unwrap_or_default();
        let recipe = Self::with_defaults(&settings, source, settings.data_dir.as_deref());
        // The number of training images is unknown here. The check accepts the smallest number, one batch.
        recipe.check(recipe.batch_size).map_err(|error| error.to_string())?;
        Ok(recipe)
    }

    /// Returns the settings, completed with the defaults of a dataset. Checks nothing.
    pub(in crate::train) fn with_defaults(
        settings: &Settings,
        source: Source,
        data_dir: Option<&Path>,
    ) -> Self {
        let defaults = source.dataset().defaults();
        let optimizer = settings.optimizer.unwrap_or_default();
        let network = settings.network.unwrap_or(networks::DEFAULT);
        let mut defaults = Defaults { width: defaults.width_of(network), ..defaults };
        // Some settings, such as `coarse`, apply to one dataset only. So `data` is set to the dataset in use, even if
        // the user has not chosen one.
        let mut settings = Settings { data: Some(source), ..settings.clone() }.with_fixed_images();
        if source.is_folder() {
            let side = settings.image_size.map_or(picture_side(network), |side| side.get().into());
            settings.image_size = u16::try_from(side).ok().and_then(NonZeroU16::new);
            // Photographs are recognised at other scales. Small images are rather cropped with a border, as CIFAR's are.
            let is_small = side <= pictures::SIDE;
            (defaults.crop, defaults.resized_crop) = (is_small, !is_small);
            defaults.cutout = is_small;
        }
        Self {
            // The setting `data` has the path of a folder of pictures.
            data_dir: data_dir.filter(|_| !source.is_folder()).map(Path::to_path_buf),
            // A run that repeats this one writes another folder.
            out: None,
            weight_decay: settings.weight_decay.unwrap_or(optimizer.weight_decay()),
            ..Self::filled(settings, &defaults)
        }
    }
}

/// Returns the number of rows and columns of the images of a folder of pictures if no setting has it: that of the network,
/// or [`pictures::SIDE`] if the network is made for smaller images.
fn picture_side(network: NetworkRef) -> usize {
    network.default_image()[0].max(pictures::SIDE)
}
