//! The recipe: all settings of a run, with the defaults filled in.

mod augmentation;
mod check;
mod defaults;
mod published;

use super::ConfigError;
pub use super::settings::Recipe;
use super::settings::Settings;
use super::step::StepConfig;
use crate::data::{Dataset, ImageSpec, ReadOptions, Split};
use crate::device::OpenOptions;
use crate::nn::{ModelInfo, NetworkConfig};
use crate::ops::optimizer::{Hyperparameters, WeightDecay};
use crate::ops::optimizers::AnyOptimizer;
use crate::train::schedule::{Constant, Cosine, MultiStep, OneCycle, Schedule, ScheduleKind};
use crate::train::units::ClassWeights;

pub use self::check::normalise;
pub use self::published::Published;
pub use crate::data::cifar10::DEFAULTS as CIFAR10;
pub use crate::data::shapes::DEFAULTS as SHAPES;

/// The seed of the shapes. The seed is constant: runs with different seeds train on the same images.
pub const SHAPES_SEED: u64 = 0;

impl Recipe {
    /// Checks the range of each setting, before the dataset is known.
    ///
    /// # Errors
    /// [`ConfigError::Value`] if a setting is out of its range. The error names the setting.
    pub fn check_ranges(settings: &Settings) -> Result<(), ConfigError> {
        let source = settings.data.unwrap_or_default();
        let recipe = Self::with_defaults(settings, source, None);
        settings.check_restrictions(&recipe)?;
        recipe.check_fine_tuning(settings)?;
        // The number of images is unknown here. One batch passes the check.
        recipe.check(recipe.batch_size)
    }

    /// Returns the number of steps in an epoch over `n_images` images. An incomplete last batch is dropped.
    pub fn steps_per_epoch(&self, n_images: usize) -> usize {
        n_images / self.batch_size
    }

    /// Returns the number of steps in a run over `n_images` training images.
    pub fn n_steps(&self, n_images: usize) -> usize {
        self.epochs * self.steps_per_epoch(n_images)
    }

    /// Returns the learning rate's schedule for a run over `n_images` training images.
    pub fn schedule(&self, n_images: usize) -> Box<dyn Schedule> {
        let (max_lr, total_steps) = (self.max_lr, self.n_steps(n_images));
        let steps = |epochs: f64| (epochs * self.steps_per_epoch(n_images) as f64).round() as usize;
        match self.schedule {
            ScheduleKind::OneCycle => {
                let default = OneCycle::linear(max_lr, total_steps);
                Box::new(OneCycle {
                    pct_start: self.pct_start.unwrap_or(default.pct_start),
                    div_factor: self.div_factor.unwrap_or(default.div_factor),
                    final_div_factor: self.final_div_factor.unwrap_or(default.final_div_factor),
                    anneal: self.anneal.unwrap_or(default.anneal),
                    ..default
                })
            }
            ScheduleKind::Constant => Box::new(Constant { lr: max_lr }),
            ScheduleKind::Step => {
                let epochs = self.milestones.iter().flat_map(|milestones| &milestones.0);
                let milestones = epochs.map(|&epoch| steps(epoch)).collect();
                Box::new(MultiStep { max_lr, milestones, gamma: self.gamma.unwrap_or(0.1) })
            }
            ScheduleKind::Cosine => Box::new(Cosine {
                max_lr,
                min_lr: self.min_lr.unwrap_or(0.0),
                warmup_steps: steps(self.warmup_epochs.unwrap_or(0.0)),
                total_steps,
            }),
        }
    }

    /// Returns the optimizer with its hyperparameters.
    pub fn optimizer(&self) -> AnyOptimizer {
        self.optimizer.with(Hyperparameters {
            momentum: self.momentum.unwrap_or(0.0),
            nesterov: self.nesterov.unwrap_or(false),
            weight_decay: WeightDecay { rate: self.weight_decay, is_partial: self.no_decay_norm },
        })
    }

    /// Returns the record of the training data for the weights files of a run on this dataset.
    pub fn info(&self, dataset: &Dataset) -> ModelInfo {
        let step = self.step();
        ModelInfo {
            classes: dataset.spec.classes.clone(),
            data: dataset.name.to_string(),
            fingerprint: dataset.whole_fingerprint(),
            image: step.size.channels_last(),
            mean: step.mean,
            standard_deviation: step.standard_deviation,
            network: Some(step.network.into()),
        }
    }

    /// Returns the network with its width and its number of classes, and with its auxiliary heads if it has any.
    pub fn network(&self) -> NetworkConfig {
        let spec = self.spec();
        NetworkConfig::new(self.network, self.width, spec.n_classes())
            .with_auxiliary(spec.size.channels_last())
    }

    /// Returns the options with which the dataset is read.
    pub fn read_options(&self) -> ReadOptions<'static> {
        ReadOptions {
            seed: SHAPES_SEED,
            coarse: self.coarse.unwrap_or(false),
            side: self.image_size,
            held_out: self.validation,
            skip_bad: self.skip_bad.unwrap_or(false),
            background: self.background.map(|background| background.0),
            whole_pictures: self.random_resized_crop,
            progress: None,
            stop: None,
        }
    }

    /// Returns the format of the dataset, with the published names of the classes. A folder of pictures has the number of
    /// classes that the recipe records.
    pub fn spec(&self) -> ImageSpec {
        let spec = self.data.dataset().spec(self.read_options()).with_side(self.image_size);
        match &self.classes {
            Some(classes) if self.data.is_folder() => {
                let classes = classes.names(classes.number()).unwrap_or_default();
                ImageSpec { classes, ..spec }
            }
            _ => spec,
        }
    }

    /// Returns the settings that the steps are recorded with. Balanced class weights follow from the training images, so
    /// a recipe that [`Recipe::parse`] has read has none.
    pub fn step(&self) -> StepConfig {
        let mut step = StepConfig::new(self.network(), self.batch_size).for_images(&self.spec());
        normalise(&mut step, self.mean.as_ref(), self.std.as_ref()).expect("a checked recipe");
        self.set_augmentation(&mut step);
        step.update.label_smoothing = self.label_smoothing as f32;
        let class_weights = self.class_weights.as_ref().and_then(ClassWeights::numbers);
        step.update.class_weights =
            class_weights.map(|weights| weights.iter().map(|&weight| weight as f32).collect());
        step.update.clip_grad_norm = self.clip_grad_norm.map(|norm| norm as f32);
        step.update.ema = self.ema;
        step.update.on_nan = self.on_nan;
        step.update.n_shards = self.shards;
        step.update.recompute = self.recompute;
        step.update.optimizer = self.optimizer();
        step.update.frozen = self.freeze.clone().unwrap_or_default();
        step.update.lr_scale = self.lr_scale.clone().unwrap_or_default();
        step.cache_features = self.cache_features;
        step
    }

    /// Returns the settings that the steps of an epoch, from 0, on the training images `train` are recorded with.
    pub fn step_on(&self, epoch: usize, train: &Split) -> StepConfig {
        self.step_of(epoch).for_sizes(train)
    }

    /// Returns the number of classes; none for a folder of pictures that was not read yet.
    fn n_known_classes(&self) -> Option<usize> {
        let is_known = !self.data.is_folder() || self.classes.is_some();
        is_known.then(|| self.network().classes)
    }

    /// Returns the recipe with balanced class weights written as numbers. A replay has no training images from which they
    /// follow.
    pub(super) fn with_fixed_weights(&self) -> Self {
        let class_weights = self.class_weights.clone().map(|weights| match weights {
            ClassWeights::Balanced(Some(numbers)) => ClassWeights::Numbers(numbers),
            given => given,
        });
        Self { class_weights, ..self.clone() }
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
}

#[cfg(test)]
mod tests {
    use std::num::{NonZeroU16, NonZeroU32};

    use super::*;
    use crate::data::{Source, cifar10};
    use crate::nn::networks::by_name;
    use crate::ops::augment::CropPadding;
    use crate::ops::finite_check::OnNonFinite;
    use crate::train::units::{Bounds, MaxLr, MemorySize, PerChannel};

    fn dataset(name: &'static str, n_images: usize) -> Dataset {
        let source = Source::from_name(name).expect("a dataset");
        let spec = source.dataset().spec(ReadOptions::default());
        let split = Split { labels: vec![0; n_images], ..Split::new(spec.size) };
        Dataset {
            name,
            description: String::new(),
            dir: (name == "cifar10").then(|| "some \"where\"".into()),
            validation: Split::new(spec.size),
            spec,
            train: split.clone(),
            test: split,
            warnings: Vec::new(),
            whole: None,
            known: None,
        }
    }

    #[test]
    fn defaults_depend_on_the_dataset_and_settings_replace_them() {
        let nothing = Settings::default();
        let cifar10 = Recipe::resolve(&nothing, &dataset("cifar10", 50_000)).expect("a recipe");
        assert_eq!((cifar10.batch_size, cifar10.data), (CIFAR10.batch_size, Source::CIFAR10));
        assert_eq!(cifar10.n_steps(50_000), 24 * 97);
        let network = by_name("resnet56").ok();
        let resnet56 = Settings { network, ..nothing.clone() };
        let resnet56 = Recipe::resolve(&resnet56, &dataset("shapes", 5_000)).expect("a recipe");
        assert_eq!(resnet56.network().to_string(), "resnet56, width 16");
        let some = Settings { width: NonZeroU16::new(7), ..nothing };
        let shapes = Recipe::resolve(&some, &dataset("shapes", 5_000)).expect("a recipe");
        assert_eq!((shapes.width, shapes.epochs), (7, SHAPES.epochs));
    }

    #[test]
    fn a_run_without_a_recorded_mean_keeps_that_of_cifar10() {
        let new =
            Recipe::resolve(&Settings::default(), &dataset("shapes", 5_000)).expect("a recipe");
        assert_eq!(new.step().mean, new.spec().mean);
        assert_ne!(new.step().mean, cifar10::MEAN);
        let written = new.to_toml();
        assert_eq!(Recipe::parse(&written).expect("a recipe").step().mean, new.step().mean);
        let is_old = |line: &&str| !line.starts_with("mean") && !line.starts_with("std");
        let earlier: Vec<_> = written.lines().filter(is_old).collect();
        let earlier = Recipe::parse(&earlier.join("\n")).expect("a recipe").step();
        assert_eq!(earlier.mean, cifar10::MEAN);
        assert_eq!(earlier.standard_deviation, cifar10::STANDARD_DEVIATION);
        // A recorded mean of CIFAR-10 is not used for another dataset.
        let shapes = Settings { data: Some(Source::SHAPES), ..Settings::default() };
        let cifar10 = Settings { data: Some(Source::CIFAR10), ..Settings::default() }.completed();
        assert_eq!(shapes.or(cifar10).mean, None);
    }

    #[test]
    fn a_recipe_is_read_back_from_its_file() {
        let settings = Settings {
            max_lr: Some(MaxLr::Rate(0.1 + 0.2)),
            memory_limit: Some(MemorySize(1 << 30)),
            no_flip: Some(true),
            crop_padding: Some(CropPadding::Reflect),
            clip_grad_norm: Some(0.5),
            class_weights: Some(ClassWeights::Balanced(None)),
            ema: Some(0.99),
            on_nan: Some(OnNonFinite::Skip),
            jitter_contrast: Some(0.2),
            random_resized_crop: Some(true),
            crop_scale: Some(Bounds([0.25, 1.0])),
            network: by_name("resnet20").ok(),
            mean: Some(PerChannel::Numbers(vec![0.485, 0.456, 0.406])),
            ..Settings::default()
        };
        let (dataset, dir) = (dataset("cifar10", 1_000), tempfile::tempdir().expect("a folder"));
        let recipe = Recipe::resolve(&settings, &dataset).expect("a recipe");
        assert_eq!(
            recipe.data_dir, dataset.dir,
            "the folder that was read, although no setting names it"
        );
        assert_eq!(recipe.step().augmentation.crop_padding, CropPadding::Reflect);
        let crop = recipe.step().resized_crop.expect("a random resized crop");
        assert_eq!((crop.scale, crop.ratio), ([0.25, 1.0], [3.0 / 4.0, 4.0 / 3.0]));
        assert!(!recipe.step().augmentation.crop, "one crop replaces the other");
        let file = dir.path().join("config.toml");
        std::fs::write(&file, recipe.to_toml()).expect("written");
        let again = Settings::read(&file).expect("it reads back");
        assert_eq!(Recipe::resolve(&again, &dataset).expect("a recipe"), recipe);
    }

    #[test]
    fn settings_out_of_their_range_are_errors() {
        let (nothing, on) = (Settings::default, Some(true));
        for (settings, word) in [
            (Settings { batch_size: NonZeroU32::new(101), ..nothing() }, "batch-size 101"),
            (Settings { max_lr: Some(MaxLr::Rate(f64::NAN)), ..nothing() }, "max-lr"),
            (Settings { label_smoothing: Some(1.0), ..nothing() }, "label-smoothing"),
            (Settings { label_smoothing: Some(1.0 - 1e-12), ..nothing() }, "label-smoothing"),
            (
                Settings { class_weights: Some(ClassWeights::Numbers(vec![1.0])), ..nothing() },
                "class-weights 1: the value must be balanced, or 10 numbers",
            ),
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
            (
                Settings { mean: Some(PerChannel::Numbers(vec![0.5])), ..nothing() },
                "mean 0.5: the value must",
            ),
            (
                Settings { mean: Some(PerChannel::Numbers(vec![0.5, 1.5, 0.5])), ..nothing() },
                "mean 0.5,1.5,0.5: the value must be 3 numbers from 0 to 1, with commas",
            ),
            (
                Settings { mean: Some(PerChannel::Numbers(vec![0.5, -0.1, 0.5])), ..nothing() },
                "mean 0.5,-0.1,0.5",
            ),
            (
                Settings { std: Some(PerChannel::Numbers(vec![58.0, 57.0, 57.5])), ..nothing() },
                "above 0 and up to 1, with commas between them; pixels are from 0 to 1, so divide",
            ),
            (
                Settings { std: Some(PerChannel::Numbers(vec![0.5, 0.0, 1.0])), ..nothing() },
                "std 0.5,0,1",
            ),
            (
                Settings { std: Some(PerChannel::Numbers(vec![0.5, -0.5, 1.0])), ..nothing() },
                "std 0.5,-0.5,1",
            ),
            (Settings { jitter_contrast: Some(-0.1), ..nothing() }, "jitter-contrast"),
            (
                Settings { jitter_brightness: Some(4.0), ..nothing() },
                "jitter-brightness 4.0: the value must be from 0 to 1",
            ),
            (Settings { jitter_saturation: Some(f64::NAN), ..nothing() }, "jitter-saturation"),
            (Settings { random_erasing: Some(1.5), ..nothing() }, "random-erasing 1.5"),
            (
                Settings { crop_scale: Some(Bounds([0.5, 1.0])), ..nothing() },
                "random-resized-crop is false",
            ),
            (
                Settings {
                    random_resized_crop: on,
                    crop_scale: Some(Bounds([0.0, 1.0])),
                    ..nothing()
                },
                "crop-scale 0,1",
            ),
            (
                Settings {
                    random_resized_crop: on,
                    crop_ratio: Some(Bounds([2.0, 1.0])),
                    ..nothing()
                },
                "crop-ratio 2,1",
            ),
        ] {
            let settings = settings.or(Settings { batch_size: NonZeroU32::new(100), ..nothing() });
            let error = Recipe::resolve(&settings, &dataset("shapes", 100)).expect_err(word);
            assert!(error.to_string().contains(word), "{error}");
        }
    }
}
