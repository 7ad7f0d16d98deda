//! The settings of a run as the user gives them, in flags and settings files.

mod read;

use std::borrow::Cow;
use std::num::{NonZeroU16, NonZeroU32};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::Error as _;
use toml::Spanned;
use toml::de::DeTable;

pub use read::{at_least_one, at_least_zero};

use super::units::{Every, MaxLr, MemorySize};
use crate::Error;
use crate::base::files::FileError;
use crate::data::Source;
use crate::kernel::Kernels;
use crate::ops::finite_check::OnNonFinite;
use crate::train::ConfigError;
use crate::train::schedule::Anneal;

/// The settings of a run. Each setting is optional: [`Recipe::resolve`](super::Recipe::resolve) fills in the missing
/// ones. The keys of a settings file are the names of the fields in kebab case.
#[derive(Clone, Default, PartialEq, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Settings {
    /// Number of epochs.
    #[serde(deserialize_with = "read::at_least_one_of_file")]
    pub epochs: Option<NonZeroU32>,
    /// Number of images in a step. An incomplete last batch of an epoch is dropped.
    #[serde(deserialize_with = "read::at_least_one_of_file")]
    pub batch_size: Option<NonZeroU32>,
    /// Number of channels of the network's first layer.
    #[serde(deserialize_with = "read::at_least_one_of_file")]
    pub width: Option<NonZeroU16>,
    /// Peak of the learning rate, or a sweep that finds it.
    pub max_lr: Option<MaxLr>,
    /// Path of a weights file to start from, or of a run folder that contains one.
    pub weights: Option<PathBuf>,
    /// SHA-256 of the weights file, in hexadecimal digits. A file with another hash is an error.
    pub weights_sha256: Option<String>,
    /// Seed of initialisation, shuffling and augmentation.
    #[serde(deserialize_with = "read::plain")]
    pub seed: Option<u64>,
    /// Number of epochs without a better evaluation after which the run ends.
    #[serde(deserialize_with = "read::at_least_one_of_file")]
    pub patience: Option<NonZeroU32>,
    /// Dataset.
    pub data: Option<Source>,
    /// Folder with CIFAR-10's binary files.
    #[serde(deserialize_with = "read::path")]
    pub data_dir: Option<PathBuf>,
    /// Number of validation images, which are held out of the training images.
    #[serde(deserialize_with = "read::plain")]
    pub validation: Option<u64>,
    /// Device: `auto`, `gpu`, `cpu`, or a part of an adapter's name.
    pub device: Option<String>,
    /// Kind of kernels on a GPU.
    pub kernels: Option<Kernels>,
    /// Largest memory that a step may take.
    pub memory_limit: Option<MemorySize>,
    /// Folder of the run.
    #[serde(deserialize_with = "read::path")]
    pub out: Option<PathBuf>,
    /// Interval between checkpoints within an epoch.
    pub checkpoint_every: Option<Every>,
    /// Share of the steps in which the learning rate climbs, in 0..=1.
    #[serde(deserialize_with = "read::plain")]
    pub pct_start: Option<f64>,
    /// Peak of the learning rate divided by the first learning rate.
    #[serde(deserialize_with = "read::plain")]
    pub div_factor: Option<f64>,
    /// First learning rate divided by the last one.
    #[serde(deserialize_with = "read::plain")]
    pub final_div_factor: Option<f64>,
    /// Shape of the climb and the fall of the learning rate.
    pub anneal: Option<Anneal>,
    /// True turns random crops off.
    #[serde(deserialize_with = "read::plain")]
    pub no_crop: Option<bool>,
    /// True turns random flips off.
    #[serde(deserialize_with = "read::plain")]
    pub no_flip: Option<bool>,
    /// True turns cutout off.
    #[serde(deserialize_with = "read::plain")]
    pub no_cutout: Option<bool>,
    /// Largest relative change of an image's brightness, up or down.
    #[serde(deserialize_with = "read::plain")]
    pub jitter_brightness: Option<f64>,
    /// Largest relative change of an image's contrast, up or down.
    #[serde(deserialize_with = "read::plain")]
    pub jitter_contrast: Option<f64>,
    /// Largest relative change of an image's saturation, up or down.
    #[serde(deserialize_with = "read::plain")]
    pub jitter_saturation: Option<f64>,
    /// Share of each label that is spread over all classes, in 0..1.
    #[serde(deserialize_with = "read::plain")]
    pub label_smoothing: Option<f64>,
    /// Largest L2 norm of all gradients together. Gradients with a larger norm are scaled down to this norm.
    #[serde(deserialize_with = "read::plain")]
    pub clip_grad_norm: Option<f64>,
    /// Decay of the moving average of the parameters, in 0..1. Evaluation reads the average, and weights files contain
    /// it.
    #[serde(deserialize_with = "read::plain")]
    pub ema: Option<f64>,
    /// Reaction to a gradient that is not finite.
    pub on_nan: Option<OnNonFinite>,
    /// Factor of Adam's L2 penalty.
    #[serde(deserialize_with = "read::plain")]
    pub weight_decay: Option<f64>,
}

impl Settings {
    /// Reads a settings file.
    ///
    /// # Errors
    /// If the file cannot be read, is not TOML, or has an unknown key or a value of a wrong kind.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map_err(FileError::at(path))?;
        Self::parse(&text).map_err(|error| {
            let reason = error.to_string().trim_end().to_string();
            ConfigError::File { path: path.to_path_buf(), reason }.into()
        })
    }

    /// Reads settings from TOML. Keys may have `_` in place of `-`: `batch-size = 128` and `batch_size = 128` are the
    /// same.
    ///
    /// # Errors
    /// If the text is not TOML, or has an unknown key or a value of a wrong kind.
    pub fn parse(text: &str) -> Result<Self, toml::de::Error> {
        let mut table = DeTable::parse(text)?;
        for (key, value) in std::mem::take(table.get_mut()) {
            let span = key.span();
            let key = Cow::Owned(key.into_inner().replace('_', "-"));
            if table.get_ref().contains_key(&*key) {
                let message =
                    format!("duplicate key: {key} is written twice, once with _ in place of -");
                return Err(toml::de::Error::custom(message));
            }
            table.get_mut().insert(Spanned::new(span, key), value);
        }
        Self::deserialize(toml::Deserializer::from(table)).map_err(|mut error| {
            error.set_input(Some(text));
            error
        })
    }

    /// Returns these settings without any augmentation.
    pub fn without_augmentation(self) -> Self {
        let off = Some(true);
        let none = Some(0.0);
        Self {
            no_crop: off,
            no_flip: off,
            no_cutout: off,
            jitter_brightness: none,
            jitter_contrast: none,
            jitter_saturation: none,
            ..self
        }
    }

    /// Returns these settings. A setting that is none is taken from `other`.
    pub fn or(self, other: Self) -> Self {
        Self {
            epochs: self.epochs.or(other.epochs),
            batch_size: self.batch_size.or(other.batch_size),
            width: self.width.or(other.width),
            max_lr: self.max_lr.or(other.max_lr),
            // A hash belongs to the weights file of the same settings, so the hash of `other` does not count if `self`
            // has a file.
            weights_sha256: match self.weights {
                Some(_) => self.weights_sha256,
                None => self.weights_sha256.or(other.weights_sha256),
            },
            weights: self.weights.or(other.weights),
            seed: self.seed.or(other.seed),
            patience: self.patience.or(other.patience),
            data: self.data.or(other.data),
            data_dir: self.data_dir.or(other.data_dir),
            validation: self.validation.or(other.validation),
            device: self.device.or(other.device),
            kernels: self.kernels.or(other.kernels),
            memory_limit: self.memory_limit.or(other.memory_limit),
            out: self.out.or(other.out),
            checkpoint_every: self.checkpoint_every.or(other.checkpoint_every),
            pct_start: self.pct_start.or(other.pct_start),
            div_factor: self.div_factor.or(other.div_factor),
            final_div_factor: self.final_div_factor.or(other.final_div_factor),
            anneal: self.anneal.or(other.anneal),
            no_crop: self.no_crop.or(other.no_crop),
            no_flip: self.no_flip.or(other.no_flip),
            no_cutout: self.no_cutout.or(other.no_cutout),
            jitter_brightness: self.jitter_brightness.or(other.jitter_brightness),
            jitter_contrast: self.jitter_contrast.or(other.jitter_contrast),
            jitter_saturation: self.jitter_saturation.or(other.jitter_saturation),
            label_smoothing: self.label_smoothing.or(other.label_smoothing),
            clip_grad_norm: self.clip_grad_norm.or(other.clip_grad_norm),
            ema: self.ema.or(other.ema),
            on_nan: self.on_nan.or(other.on_nan),
            weight_decay: self.weight_decay.or(other.weight_decay),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_of_a_file_are_the_flags() {
        let text = "batch-size = 64\nmax_lr = 0.02\nno-crop = true\nmemory-limit = '1GiB'\ndata = 'shapes'";
        let settings = Settings::parse(text).expect("good settings");
        assert_eq!(settings.batch_size, NonZeroU32::new(64));
        assert_eq!(settings.max_lr, Some(MaxLr::Rate(0.02)));
        assert_eq!(settings.no_crop, Some(true));
        assert_eq!(settings.memory_limit, Some(MemorySize(1 << 30)));
        assert_eq!(settings.data, Some(Source::Shapes));
        let error = Settings::parse("epoch = 3").expect_err("no such key");
        assert!(error.to_string().contains("unknown field `epoch`"), "{error}");
        let error = Settings::parse("batch-size = 64\nbatch_size = 32").expect_err("twice");
        assert!(error.to_string().contains("batch-size is written twice"), "{error}");
    }

    #[test]
    fn counts_are_at_least_one_and_errors_state_the_rule() {
        assert_eq!(at_least_one("7"), Ok(NonZeroU16::new(7).expect("not zero")));
        let refused = |text: &str| at_least_one::<NonZeroU16>(text).expect_err(text);
        for text in ["0", "-1", "1.5", "many", ""] {
            assert_eq!(refused(text), "must be a whole number of at least 1");
        }
        assert_eq!(refused("65536"), "is too large");
        for text in ["width = 0", "epochs = -1", "batch-size = 'many'", "epochs = 1.5"] {
            let error = Settings::parse(text).expect_err(text).to_string();
            assert!(error.contains("must be a whole number of at least 1"), "{error}");
            assert!(error.contains("line 1"), "{error}");
        }
    }

    #[test]
    fn quoted_numbers_are_errors() {
        for (text, words) in [
            (
                "batch-size = \"20\"",
                "\"20\" is a string, but must be a whole number of at least 1, without",
            ),
            ("seed = \"0\"", "a whole number of at least 0, without"),
            ("weight-decay = '0.1'", "is a string, but must be a number, without quotation marks"),
            ("no-flip = 'true'", "is a string, but must be true or false, without"),
            ("seed = -1", "must be a whole number of at least 0"),
            ("ema = true", "must be a number"),
            ("no-crop = 1", "must be true or false"),
        ] {
            let error = Settings::parse(text).expect_err(text).to_string();
            assert!(error.contains(words) && error.contains("line 1"), "{error}");
        }
        let plain = Settings::parse("seed = 7\nema = 0\nno-crop = false").expect("good settings");
        assert_eq!((plain.seed, plain.ema, plain.no_crop), (Some(7), Some(0.0), Some(false)));
    }

    #[test]
    fn a_tilde_in_a_file_is_the_home_folder() {
        let settings = Settings::parse("out = '~/x'\ndata-dir = '~'").expect("good settings");
        let home = dirs::home_dir().expect("a home folder");
        assert_eq!((settings.out, settings.data_dir), (Some(home.join("x")), Some(home)));
    }

    #[test]
    fn flags_replace_the_settings_of_a_file() {
        let flags = Settings { epochs: NonZeroU32::new(3), ..Settings::default() };
        let file = Settings {
            epochs: NonZeroU32::new(5),
            width: NonZeroU16::new(8),
            ..Settings::default()
        };
        let both = flags.or(file);
        assert_eq!((both.epochs, both.width), (NonZeroU32::new(3), NonZeroU16::new(8)));
        assert_eq!(both.seed, None);
    }
}
