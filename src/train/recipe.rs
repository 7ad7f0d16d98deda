//! The recipe: all settings of a run, with the defaults filled in.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::ConfigError;
use super::settings::Settings;
use super::step::StepConfig;
use super::units::{Every, MaxLr, MemorySize};
use crate::data::{Dataset, N_CLASSES, Source};
use crate::device::OpenOptions;
use crate::kernel::Kernels;
use crate::nn::{ModelInfo, ResNet9};
use crate::ops::augment::{AugmentFlags, ColorJitter};
use crate::ops::finite_check::OnNonFinite;
use crate::train::schedule::{Anneal, OneCycle};

/// The defaults that depend on the dataset.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Defaults {
    /// The number of epochs.
    pub epochs: usize,
    /// The number of images in a step.
    pub batch_size: usize,
    /// The number of channels of the network's first layer.
    pub width: usize,
    /// The peak of the learning rate.
    pub max_lr: f64,
}

/// The defaults for CIFAR-10. At a batch size of 128 the best learning rate was 0.005 (`docs/performance.md`). A batch
/// size of 512 is four times as large, and the learning rate √4 times as high.
pub const CIFAR10: Defaults = Defaults { epochs: 24, batch_size: 512, width: 64, max_lr: 0.01 };

/// The defaults for the built-in shapes. A run takes about two minutes on two CPU cores.
pub const SHAPES: Defaults = Defaults { epochs: 10, batch_size: 64, width: 16, max_lr: 0.01 };

/// The seed of the shapes. The seed is constant: runs with different seeds train on the same images.
pub const SHAPES_SEED: u64 = 0;

/// The default share of the steps in which the learning rate climbs: 5 of 24 epochs.
pub const PCT_START: f64 = 5.0 / 24.0;

/// All settings of a run. [`Settings::read`] reads them back from the file that [`Recipe::to_toml`] makes.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Recipe {
    /// The dataset; never [`Source::Auto`].
    pub data: Source,
    /// The absolute path of the folder with the files of the dataset; none for the shapes.
    pub data_dir: Option<PathBuf>,
    /// The number of validation images, which are held out of the training images. With 0, each epoch is evaluated on
    /// the test images.
    pub validation: usize,
    /// The device: `auto`, `gpu`, `cpu`, or a part of an adapter's name.
    pub device: String,
    /// The kind of kernels on a GPU.
    pub kernels: Kernels,
    /// The largest memory that a step may take; none if only the limits of the device count.
    pub memory_limit: Option<MemorySize>,
    /// The seed of initialisation, shuffling and augmentation.
    pub seed: u64,
    /// The number of epochs without a better evaluation after which the run ends; none for no limit.
    pub patience: Option<usize>,
    /// The interval between checkpoints within an epoch. A run also writes a checkpoint at the end of each epoch.
    pub checkpoint_every: Every,
    /// The number of channels of the network's first layer.
    pub width: usize,
    /// The number of images in a step.
    pub batch_size: usize,
    /// The number of epochs.
    pub epochs: usize,
    /// The peak of the learning rate.
    pub max_lr: f64,
    /// The absolute path of the weights file that the run starts from; none for new weights.
    pub weights: Option<PathBuf>,
    /// The SHA-256 of the weights file that the run starts from, in hexadecimal digits.
    pub weights_sha256: Option<String>,
    /// The share of the steps in which the learning rate climbs, in 0..=1.
    pub pct_start: f64,
    /// The peak of the learning rate divided by the first learning rate.
    pub div_factor: f64,
    /// The first learning rate divided by the last one.
    pub final_div_factor: f64,
    /// The shape of the climb and the fall of the learning rate.
    pub anneal: Anneal,
    /// The factor of Adam's L2 penalty.
    pub weight_decay: f64,
    /// The share of each label that is spread over all classes, in 0..1.
    pub label_smoothing: f64,
    /// The largest L2 norm of all gradients together. Gradients with a larger norm are scaled down to this norm. None:
    /// gradients are not clipped.
    pub clip_grad_norm: Option<f64>,
    /// The decay of the moving average of the parameters, in 0..1. None: no average is kept.
    pub ema: Option<f64>,
    /// The reaction to a gradient that is not finite.
    pub on_nan: OnNonFinite,
    /// True turns random crops off.
    pub no_crop: bool,
    /// True turns random flips off.
    pub no_flip: bool,
    /// True turns cutout off.
    pub no_cutout: bool,
    /// The largest relative change of an image's brightness, up or down.
    pub jitter_brightness: f64,
    /// The largest relative change of an image's contrast, up or down.
    pub jitter_contrast: f64,
    /// The largest relative change of an image's saturation, up or down.
    pub jitter_saturation: f64,
}

impl Recipe {
    /// Returns the settings, completed with the defaults for a loaded dataset, and checks them.
    ///
    /// # Errors
    /// If a setting is out of its range. The error names the setting.
    pub fn resolve(settings: &Settings, dataset: &Dataset) -> Result<Self, ConfigError> {
        let source = if dataset.name == "shapes" { Source::Shapes } else { Source::Cifar10 };
        let recipe = Self::with_defaults(settings, source, dataset.dir.as_deref());
        recipe.check(dataset.train.len())?;
        Ok(recipe)
    }

    /// Reads a recipe from the text of a run's `config.toml`. Does not read the dataset, which may have been removed
    /// since.
    ///
    /// # Errors
    /// If the text is not a settings file, or a setting is out of its range. The error is the reason, in words.
    pub fn parse(config: &str) -> Result<Self, String> {
        let settings = Settings::parse(config).map_err(|error| error.to_string())?;
        let source = settings.data.unwrap_or_default();
        let recipe = Self::with_defaults(&settings, source, settings.data_dir.as_deref());
        // The number of training images is unknown here. The check accepts the smallest number, one batch.
        recipe.check(recipe.batch_size).map_err(|error| error.to_string())?;
        Ok(recipe)
    }

    /// Returns the settings, completed with the defaults of a dataset. Checks nothing.
    pub(super) fn with_defaults(
        settings: &Settings,
        source: Source,
        data_dir: Option<&Path>,
    ) -> Self {
        let defaults = if source == Source::Shapes { SHAPES } else { CIFAR10 };
        let settings = settings.clone();
        Self {
            data: source,
            // TOML is Unicode. Bytes of a path that are not Unicode are replaced.
            data_dir: data_dir.map(|dir| dir.to_string_lossy().into_owned().into()),
            device: settings.device.unwrap_or_else(|| "auto".to_string()),
            kernels: settings.kernels.unwrap_or_default(),
            memory_limit: settings.memory_limit,
            validation: settings.validation.unwrap_or(0).try_into().unwrap_or(usize::MAX),
            seed: settings.seed.unwrap_or(0),
            patience: settings.patience.map(|n| n.get() as usize),
            checkpoint_every: settings.checkpoint_every.unwrap_or_default(),
            width: settings.width.map_or(defaults.width, |n| n.get().into()),
            batch_size: settings.batch_size.map_or(defaults.batch_size, |n| n.get() as usize),
            epochs: settings.epochs.map_or(defaults.epochs, |n| n.get() as usize),
            max_lr: match settings.max_lr {
                Some(MaxLr::Rate(rate)) => rate,
                // A sweep replaces this value before training.
                Some(MaxLr::Find) | None => defaults.max_lr,
            },
            weights: settings.weights.map(|path| path.to_string_lossy().into_owned().into()),
            weights_sha256: settings.weights_sha256,
            pct_start: settings.pct_start.unwrap_or(PCT_START),
            div_factor: settings.div_factor.unwrap_or(10.0),
            final_div_factor: settings.final_div_factor.unwrap_or(1.0),
            anneal: settings.anneal.unwrap_or_default(),
            weight_decay: settings.weight_decay.unwrap_or(0.0),
            label_smoothing: settings.label_smoothing.unwrap_or(0.0),
            clip_grad_norm: settings.clip_grad_norm,
            ema: settings.ema,
            on_nan: settings.on_nan.unwrap_or_default(),
            no_crop: settings.no_crop.unwrap_or(false),
            no_flip: settings.no_flip.unwrap_or(false),
            no_cutout: settings.no_cutout.unwrap_or(false),
            jitter_brightness: settings.jitter_brightness.unwrap_or(0.0),
            jitter_contrast: settings.jitter_contrast.unwrap_or(0.0),
            jitter_saturation: settings.jitter_saturation.unwrap_or(0.0),
        }
    }

    /// Returns the number of steps in an epoch over `n_images` images. An incomplete last batch is dropped.
    pub fn steps_per_epoch(&self, n_images: usize) -> usize {
        n_images / self.batch_size
    }

    /// Returns the learning rate's schedule for a run over `n_images` training images.
    pub fn schedule(&self, n_images: usize) -> OneCycle {
        OneCycle {
            pct_start: self.pct_start,
            div_factor: self.div_factor,
            final_div_factor: self.final_div_factor,
            anneal: self.anneal,
            ..OneCycle::linear(self.max_lr, self.epochs * self.steps_per_epoch(n_images))
        }
    }

    /// Returns the record of the training data for the weights files of a run on this dataset.
    pub fn info(&self, dataset: &Dataset) -> ModelInfo {
        let step = self.step();
        ModelInfo {
            classes: dataset.classes.clone(),
            data: dataset.name.to_string(),
            fingerprint: dataset.whole_fingerprint(),
            mean: step.mean,
            standard_deviation: step.standard_deviation,
        }
    }

    /// Returns the settings that the steps are recorded with.
    pub fn step(&self) -> StepConfig {
        let network = ResNet9 { width: self.width, classes: N_CLASSES };
        let mut step = StepConfig::new(network, self.batch_size);
        step.augmentation =
            AugmentFlags { crop: !self.no_crop, flip: !self.no_flip, cutout: !self.no_cutout };
        step.jitter = ColorJitter {
            brightness: self.jitter_brightness,
            contrast: self.jitter_contrast,
            saturation: self.jitter_saturation,
        };
        step.update.label_smoothing = self.label_smoothing as f32;
        step.update.clip_grad_norm = self.clip_grad_norm.map(|norm| norm as f32);
        step.update.ema = self.ema;
        step.update.on_nan = self.on_nan;
        step.update.optimizer.weight_decay = self.weight_decay;
        step
    }

    /// Returns the options for opening the device.
    pub fn open_options(&self) -> OpenOptions {
        OpenOptions {
            kernels: self.kernels,
            memory_limit: self.memory_limit.map(|size| size.0),
            ..OpenOptions::default()
        }
    }

    /// Returns the contents of `config.toml`. A run that reads this file has the same settings.
    pub fn to_toml(&self) -> String {
        let settings = toml::to_string(self).expect("a recipe is a flat table");
        format!("# The settings of this run; a run with this file repeats it.\n{settings}")
    }

    /// Checks the range of each setting, and that `n_images` training images fill a batch.
    fn check(&self, n_images: usize) -> Result<(), ConfigError> {
        let batch_size = self.batch_size;
        if self.steps_per_epoch(n_images) == 0 {
            return Err(ConfigError::FewerThanABatch { n_images, batch_size });
        }
        let refuse = |setting, value: f64, must| {
            Err(ConfigError::Value { setting, value: format!("{value:?}"), must })
        };
        // Devices compute in f32, so a value that f32 rounds to infinity or to 1 is refused.
        let is_part = |value: f64| (0.0..1.0).contains(&(value as f32));
        if !is_part(self.label_smoothing) {
            let must = "be at least 0 and below 1".to_string();
            return refuse("label-smoothing", self.label_smoothing, must);
        }
        if !(self.weight_decay >= 0.0 && (self.weight_decay as f32).is_finite()) {
            let must = format!("be a number from 0 to {:e}", f32::MAX);
            return refuse("weight-decay", self.weight_decay, must);
        }
        if let Some(value) = self.clip_grad_norm
            && !(value as f32 > 0.0 && (value as f32).is_finite())
        {
            let (least, most) = (f32::MIN_POSITIVE, f32::MAX);
            let must = format!("be a number from {least:e} to {most:e}");
            return refuse("clip-grad-norm", value, must);
        }
        if let Some(value) = self.ema
            && !is_part(value)
        {
            let most = 1.0 - f32::EPSILON / 2.0;
            return refuse("ema", value, format!("be from 0 to {most}"));
        }
        for (setting, value) in [
            ("jitter-brightness", self.jitter_brightness),
            ("jitter-contrast", self.jitter_contrast),
            ("jitter-saturation", self.jitter_saturation),
        ] {
            if !(0.0..=ColorJitter::MOST).contains(&value) {
                let must = format!("be from 0 to {}; 0.2 is usual", ColorJitter::MOST);
                return refuse(setting, value, must);
            }
        }
        self.schedule(n_images).check()
    }
}

#[cfg(test)]
mod tests {
    use std::num::{NonZeroU16, NonZeroU32};

    use super::*;
    use crate::data::Split;

    fn dataset(name: &'static str, n_images: usize) -> Dataset {
        let split = Split { images: Vec::new(), labels: vec![0; n_images] };
        Dataset {
            name,
            description: String::new(),
            dir: (name == "cifar10").then(|| "some \"where\"".into()),
            classes: Vec::new(),
            train: split.clone(),
            validation: Split::default(),
            test: split,
            warnings: Vec::new(),
            whole: None,
        }
    }

    #[test]
    fn defaults_depend_on_the_dataset_and_settings_replace_them() {
        let nothing = Settings::default();
        let cifar10 = Recipe::resolve(&nothing, &dataset("cifar10", 50_000)).expect("a recipe");
        assert_eq!((cifar10.batch_size, cifar10.data), (CIFAR10.batch_size, Source::Cifar10));
        assert_eq!(cifar10.schedule(50_000).total_steps, 24 * 97);
        let some = Settings { width: NonZeroU16::new(7), ..nothing };
        let shapes = Recipe::resolve(&some, &dataset("shapes", 5_000)).expect("a recipe");
        assert_eq!((shapes.width, shapes.epochs), (7, SHAPES.epochs));
    }

    #[test]
    fn a_recipe_is_read_back_from_its_file() {
        let settings = Settings {
            max_lr: Some(MaxLr::Rate(0.1 + 0.2)),
            memory_limit: Some(MemorySize(1 << 30)),
            no_flip: Some(true),
            clip_grad_norm: Some(0.5),
            ema: Some(0.99),
            on_nan: Some(OnNonFinite::Skip),
            jitter_contrast: Some(0.2),
            ..Settings::default()
        };
        let (dataset, dir) = (dataset("cifar10", 1_000), tempfile::tempdir().expect("a folder"));
        let recipe = Recipe::resolve(&settings, &dataset).expect("a recipe");
        assert_eq!(
            recipe.data_dir, dataset.dir,
            "the folder that was read, although no setting names it"
        );
        let file = dir.path().join("config.toml");
        std::fs::write(&file, recipe.to_toml()).expect("written");
        let again = Settings::read(&file).expect("it reads back");
        assert_eq!(Recipe::resolve(&again, &dataset).expect("a recipe"), recipe);
    }

    #[test]
    fn settings_out_of_their_range_are_errors() {
        let nothing = Settings::default;
        for (settings, word) in [
            (Settings { batch_size: NonZeroU32::new(101), ..nothing() }, "batch-size 101"),
            (Settings { max_lr: Some(MaxLr::Rate(f64::NAN)), ..nothing() }, "max-lr"),
            (Settings { label_smoothing: Some(1.0), ..nothing() }, "label-smoothing"),
            (Settings { label_smoothing: Some(1.0 - 1e-12), ..nothing() }, "label-smoothing"),
            (Settings { weight_decay: Some(-1.0), ..nothing() }, "weight-decay"),
            (
                Settings { weight_decay: Some(1e300), ..nothing() },
                "weight-decay 1e300: the value must be a number from 0 to 3.4",
            ),
            (
                Settings { clip_grad_norm: Some(1e300), ..nothing() },
                "clip-grad-norm 1e300: the value must",
            ),
            (Settings { ema: Some(1.0 - 1e-12), ..nothing() }, "ema"),
            (
                Settings { max_lr: Some(MaxLr::Rate(1e300)), ..nothing() },
                "max-lr 1e300: the value must",
            ),
            (Settings { div_factor: Some(1e-300), ..nothing() }, "div-factor 1e-300"),
            (Settings { final_div_factor: Some(1e-300), ..nothing() }, "final-div-factor 1e-300"),
            (Settings { clip_grad_norm: Some(0.0), ..nothing() }, "clip-grad-norm"),
            (Settings { clip_grad_norm: Some(1e-60), ..nothing() }, "clip-grad-norm"),
            (Settings { ema: Some(1.0), ..nothing() }, "ema"),
            (Settings { jitter_contrast: Some(-0.1), ..nothing() }, "jitter-contrast"),
            (Settings { jitter_saturation: Some(f64::NAN), ..nothing() }, "jitter-saturation"),
        ] {
            let settings = settings.or(Settings { batch_size: NonZeroU32::new(100), ..nothing() });
            let error = Recipe::resolve(&settings, &dataset("shapes", 100)).expect_err(word);
            assert!(error.to_string().contains(word), "{error}");
        }
    }
}
