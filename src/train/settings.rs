//! What a user may say about a run: each flag of `wgrad train`, which is also a key of `--config`.

mod read;

use std::borrow::Cow;
use std::num::{NonZeroU16, NonZeroU32};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::Error as _;
use toml::Spanned;
use toml::de::DeTable;

pub use read::at_least_one;

use super::units::{Every, MaxLr, MemorySize};
use crate::Error;
use crate::base::files::FileError;
use crate::data::Source;
use crate::kernel::Kernels;
use crate::ops::finite_check::OnNan;
use crate::train::ConfigError;
use crate::train::schedule::Anneal;

/// The settings of a run, each of them optional.
///
/// One struct makes the flags and the keys of the file, so that the two cannot differ. What neither
/// gives is filled in by [`Recipe::resolve`](super::Recipe::resolve), whose defaults the help texts
/// repeat (a test compares them).
#[derive(Clone, Default, PartialEq, Debug, clap::Args, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Settings {
    /// Passes over the training images [default: 24; shapes: 10]
    #[arg(long, value_name = "N", help_heading = "Recipe", allow_negative_numbers = true,
          value_parser = at_least_one::<NonZeroU32>)]
    #[serde(deserialize_with = "read::at_least_one_of_file")]
    pub epochs: Option<NonZeroU32>,
    /// Images in a step; an epoch's last incomplete batch is dropped [default: 512; shapes: 64]
    #[arg(long, value_name = "N", help_heading = "Recipe", allow_negative_numbers = true,
          value_parser = at_least_one::<NonZeroU32>)]
    #[serde(deserialize_with = "read::at_least_one_of_file")]
    pub batch_size: Option<NonZeroU32>,
    /// Channels of the network's first layer [default: 64; shapes: 16]
    #[arg(long, value_name = "N", help_heading = "Recipe", allow_negative_numbers = true,
          value_parser = at_least_one::<NonZeroU16>)]
    #[serde(deserialize_with = "read::at_least_one_of_file")]
    pub width: Option<NonZeroU16>,
    /// The learning rate at its peak, or find, to sweep for it first [default: 0.01; shapes: 0.01]
    #[arg(long, value_name = "RATE", help_heading = "Recipe", allow_negative_numbers = true)]
    pub max_lr: Option<MaxLr>,
    /// Start from the weights in this file, or in a run's folder, instead of fresh ones
    #[arg(long, value_name = "FILE", help_heading = "Recipe")]
    pub weights: Option<PathBuf>,
    /// Refuse weights to start from whose file has another SHA-256
    #[arg(long, value_name = "HEX", help_heading = "Recipe", requires = "weights")]
    pub weights_sha256: Option<String>,
    /// Seeds initialisation, shuffling and augmentation [default: 0]
    #[arg(long, value_name = "N", help_heading = "Recipe", allow_negative_numbers = true,
          value_parser = read::at_least_zero)]
    #[serde(deserialize_with = "read::plain")]
    pub seed: Option<u64>,
    /// End when the evaluation has not become more accurate for so many epochs [default: never]
    #[arg(long, value_name = "N", help_heading = "Recipe", allow_negative_numbers = true,
          value_parser = at_least_one::<NonZeroU32>)]
    #[serde(deserialize_with = "read::at_least_one_of_file")]
    pub patience: Option<NonZeroU32>,

    /// Which images to train on [default: auto]
    #[arg(long, value_name = "SET", help_heading = "Data")]
    pub data: Option<Source>,
    /// The folder with CIFAR-10's binary files [default: $WGRAD_DATA, else ./data/cifar-10-batches-bin]
    #[arg(long, value_name = "DIR", help_heading = "Data")]
    #[serde(deserialize_with = "read::path")]
    pub data_dir: Option<PathBuf>,
    /// Hold out so many training images, evaluate on them, and read the test images once, at the end
    /// [default: 0]
    #[arg(long, value_name = "N", help_heading = "Data", allow_negative_numbers = true,
          value_parser = read::at_least_zero)]
    #[serde(deserialize_with = "read::plain")]
    pub validation: Option<u64>,

    /// auto (a hardware GPU, else the CPU), gpu, cpu, or a part of an adapter's name [default: auto]
    #[arg(long, value_name = "DEVICE", help_heading = "Device")]
    pub device: Option<String>,
    /// Which kernels a GPU runs [default: tuned]
    #[arg(long, value_name = "KIND", help_heading = "Device")]
    pub kernels: Option<Kernels>,
    /// Refuse a step that needs more memory than this, 512MiB or 2GiB for instance
    #[arg(long, value_name = "SIZE", help_heading = "Device", allow_negative_numbers = true)]
    pub memory_limit: Option<MemorySize>,

    /// The folder to write, which must not hold a run yet [default: runs/DATE-TIME]
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    #[serde(deserialize_with = "read::path")]
    pub out: Option<PathBuf>,
    /// Write a checkpoint this often, besides at every epoch's end: 100 for steps, 10m for minutes
    /// [default: epoch]
    #[arg(long, value_name = "EVERY", help_heading = "Output", allow_negative_numbers = true)]
    pub checkpoint_every: Option<Every>,

    /// The part of all steps in which the rate climbs [default: 5/24 = 0.2083]
    #[arg(
        long,
        value_name = "PART",
        help_heading = "Learning rate (one cycle)",
        allow_negative_numbers = true
    )]
    #[serde(deserialize_with = "read::plain")]
    pub pct_start: Option<f64>,
    /// The peak rate over the first one [default: 10]
    #[arg(
        long,
        value_name = "FACTOR",
        help_heading = "Learning rate (one cycle)",
        allow_negative_numbers = true
    )]
    #[serde(deserialize_with = "read::plain")]
    pub div_factor: Option<f64>,
    /// The first rate over the last one [default: 1]
    #[arg(
        long,
        value_name = "FACTOR",
        help_heading = "Learning rate (one cycle)",
        allow_negative_numbers = true
    )]
    #[serde(deserialize_with = "read::plain")]
    pub final_div_factor: Option<f64>,
    /// How the rate climbs and falls [default: linear]
    #[arg(long, value_name = "SHAPE", help_heading = "Learning rate (one cycle)")]
    pub anneal: Option<Anneal>,

    /// Do not crop the training images at random
    #[arg(long, value_name = "BOOL", help_heading = "Augmentation and regularisation", num_args = 0..=1,
          require_equals = true, default_missing_value = "true", hide_possible_values = true)]
    #[serde(deserialize_with = "read::plain")]
    pub no_crop: Option<bool>,
    /// Do not flip them at random
    #[arg(long, value_name = "BOOL", help_heading = "Augmentation and regularisation", num_args = 0..=1,
          require_equals = true, default_missing_value = "true", hide_possible_values = true)]
    #[serde(deserialize_with = "read::plain")]
    pub no_flip: Option<bool>,
    /// Do not cut squares out of them
    #[arg(long, value_name = "BOOL", help_heading = "Augmentation and regularisation", num_args = 0..=1,
          require_equals = true, default_missing_value = "true", hide_possible_values = true)]
    #[serde(deserialize_with = "read::plain")]
    pub no_cutout: Option<bool>,
    /// Change the brightness of the training images at random, by a factor from 1 - PART to 1 + PART [default: 0]
    #[arg(
        long,
        value_name = "PART",
        help_heading = "Augmentation and regularisation",
        allow_negative_numbers = true
    )]
    #[serde(deserialize_with = "read::plain")]
    pub jitter_brightness: Option<f64>,
    /// Change their contrast, likewise [default: 0]
    #[arg(
        long,
        value_name = "PART",
        help_heading = "Augmentation and regularisation",
        allow_negative_numbers = true
    )]
    #[serde(deserialize_with = "read::plain")]
    pub jitter_contrast: Option<f64>,
    /// Change their saturation, likewise [default: 0]
    #[arg(
        long,
        value_name = "PART",
        help_heading = "Augmentation and regularisation",
        allow_negative_numbers = true
    )]
    #[serde(deserialize_with = "read::plain")]
    pub jitter_saturation: Option<f64>,
    /// The part of each label that is spread over all classes [default: 0]
    #[arg(
        long,
        value_name = "PART",
        help_heading = "Augmentation and regularisation",
        allow_negative_numbers = true
    )]
    #[serde(deserialize_with = "read::plain")]
    pub label_smoothing: Option<f64>,
    /// Scale gradients down that are longer than this, all together, by their L2 norm [default: off]
    #[arg(
        long,
        value_name = "NORM",
        help_heading = "Augmentation and regularisation",
        allow_negative_numbers = true
    )]
    #[serde(deserialize_with = "read::plain")]
    pub clip_grad_norm: Option<f64>,
    /// Keep a moving average of the weights, with this decay (0.9, say), and evaluate and save that
    /// [default: off]
    #[arg(
        long,
        value_name = "DECAY",
        help_heading = "Augmentation and regularisation",
        allow_negative_numbers = true
    )]
    #[serde(deserialize_with = "read::plain")]
    pub ema: Option<f64>,
    /// When a gradient is not finite, stop the run, or skip that step and count it [default: stop]
    #[arg(long, value_name = "ACTION", help_heading = "Augmentation and regularisation")]
    pub on_nan: Option<OnNan>,
    /// Adam's L2 penalty [default: 0]
    #[arg(
        long,
        value_name = "RATE",
        help_heading = "Augmentation and regularisation",
        allow_negative_numbers = true
    )]
    #[serde(deserialize_with = "read::plain")]
    pub weight_decay: Option<f64>,
}

impl Settings {
    /// Reads a file of settings.
    ///
    /// # Errors
    /// When it cannot be read, is no TOML, or has an unknown key or a value of a wrong kind.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map_err(FileError::at(path))?;
        Self::parse(&text).map_err(|error| {
            let reason = error.to_string().trim_end().to_string();
            ConfigError::File { path: path.to_path_buf(), reason }.into()
        })
    }

    /// Reads TOML whose keys are the flags: `batch-size = 128`, or `batch_size`, as it is often
    /// written.
    pub(crate) fn parse(text: &str) -> Result<Self, toml::de::Error> {
        let mut table = DeTable::parse(text)?;
        for (key, value) in std::mem::take(table.get_mut()) {
            let span = key.span();
            let key = Cow::Owned(key.into_inner().replace('_', "-"));
            if table.get_ref().contains_key(&*key) {
                let message = format!("duplicate key: {key} is written twice, once with _ for -");
                return Err(toml::de::Error::custom(message));
            }
            table.get_mut().insert(Spanned::new(span, key), value);
        }
        Self::deserialize(toml::Deserializer::from(table)).map_err(|mut error| {
            error.set_input(Some(text));
            error
        })
    }

    /// These settings, with images as they are.
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

    /// These settings, and those of `other` where these say nothing.
    pub fn or(self, other: Self) -> Self {
        Self {
            epochs: self.epochs.or(other.epochs),
            batch_size: self.batch_size.or(other.batch_size),
            width: self.width.or(other.width),
            max_lr: self.max_lr.or(other.max_lr),
            // The hash is that of one file.
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
    fn files_hold_the_flags_and_nothing_else() {
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
    fn counts_say_what_they_must_be() {
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
    fn strings_are_no_numbers() {
        for (text, words) in [
            (
                "batch-size = \"20\"",
                "\"20\" is a string, and must be a whole number of at least 1, without",
            ),
            ("seed = \"0\"", "a whole number of at least 0, without"),
            ("weight-decay = '0.1'", "is a string, and must be a number, without quotation marks"),
            ("no-flip = 'true'", "is a string, and must be true or false, without"),
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
    fn flags_win() {
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
