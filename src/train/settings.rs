//! What a user may say about a run: each flag of `wgrad train`, which is also a key of `--config`.

use std::borrow::Cow;
use std::fmt;
use std::num::{IntErrorKind, NonZeroU16, NonZeroU32, ParseIntError};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use toml::Spanned;
use toml::de::DeTable;

use crate::data::Source;
use crate::error::Error;
use crate::ops::Kernels;
use crate::optim::Anneal;

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
    #[serde(deserialize_with = "read_at_least_one")]
    pub epochs: Option<NonZeroU32>,
    /// Images in a step; an epoch's last incomplete batch is dropped [default: 512; shapes: 64]
    #[arg(long, value_name = "N", help_heading = "Recipe", allow_negative_numbers = true,
          value_parser = at_least_one::<NonZeroU32>)]
    #[serde(deserialize_with = "read_at_least_one")]
    pub batch_size: Option<NonZeroU32>,
    /// Channels of the network's first layer [default: 64; shapes: 16]
    #[arg(long, value_name = "N", help_heading = "Recipe", allow_negative_numbers = true,
          value_parser = at_least_one::<NonZeroU16>)]
    #[serde(deserialize_with = "read_at_least_one")]
    pub width: Option<NonZeroU16>,
    /// The learning rate at its peak [default: 0.01; shapes: 0.01]
    #[arg(long, value_name = "RATE", help_heading = "Recipe", allow_negative_numbers = true)]
    pub max_lr: Option<f64>,
    /// Seeds initialisation, shuffling and augmentation [default: 0]
    #[arg(long, value_name = "N", help_heading = "Recipe", allow_negative_numbers = true,
          value_parser = at_least_zero)]
    pub seed: Option<u64>,

    /// Which images to train on [default: auto]
    #[arg(long, value_name = "SET", help_heading = "Data")]
    pub data: Option<Source>,
    /// The folder with CIFAR-10's binary files [default: $WGRAD_DATA, else ./data/cifar-10-batches-bin]
    #[arg(long, value_name = "DIR", help_heading = "Data")]
    pub data_dir: Option<PathBuf>,

    /// auto (a hardware GPU, else the CPU), gpu, cpu, or a part of an adapter's name [default: auto]
    #[arg(long, value_name = "DEVICE", help_heading = "Device")]
    pub device: Option<String>,
    /// Which kernels a GPU runs [default: default]
    #[arg(long, value_name = "KIND", help_heading = "Device")]
    pub kernels: Option<Kernels>,
    /// Refuse a step that needs more memory than this, 512MiB or 2GiB for instance
    #[arg(long, value_name = "SIZE", help_heading = "Device", allow_negative_numbers = true)]
    pub memory_limit: Option<MemorySize>,

    /// The folder to write, which must not hold a run yet [default: runs/DATE-TIME]
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    pub out: Option<PathBuf>,

    /// The part of all steps in which the rate climbs [default: 5/24 = 0.2083]
    #[arg(
        long,
        value_name = "PART",
        help_heading = "Learning rate (one cycle)",
        allow_negative_numbers = true
    )]
    pub pct_start: Option<f64>,
    /// The peak rate over the first one [default: 10]
    #[arg(
        long,
        value_name = "FACTOR",
        help_heading = "Learning rate (one cycle)",
        allow_negative_numbers = true
    )]
    pub div_factor: Option<f64>,
    /// The first rate over the last one [default: 1]
    #[arg(
        long,
        value_name = "FACTOR",
        help_heading = "Learning rate (one cycle)",
        allow_negative_numbers = true
    )]
    pub final_div_factor: Option<f64>,
    /// How the rate climbs and falls [default: linear]
    #[arg(long, value_name = "SHAPE", help_heading = "Learning rate (one cycle)")]
    pub anneal: Option<Anneal>,

    /// Do not crop the training images at random
    #[arg(long, value_name = "BOOL", help_heading = "Augmentation and regularisation", num_args = 0..=1,
          require_equals = true, default_missing_value = "true", hide_possible_values = true)]
    pub no_crop: Option<bool>,
    /// Do not flip them at random
    #[arg(long, value_name = "BOOL", help_heading = "Augmentation and regularisation", num_args = 0..=1,
          require_equals = true, default_missing_value = "true", hide_possible_values = true)]
    pub no_flip: Option<bool>,
    /// Do not cut squares out of them
    #[arg(long, value_name = "BOOL", help_heading = "Augmentation and regularisation", num_args = 0..=1,
          require_equals = true, default_missing_value = "true", hide_possible_values = true)]
    pub no_cutout: Option<bool>,
    /// The part of each label that is spread over all classes [default: 0]
    #[arg(
        long,
        value_name = "PART",
        help_heading = "Augmentation and regularisation",
        allow_negative_numbers = true
    )]
    pub label_smoothing: Option<f64>,
    /// Adam's L2 penalty [default: 0]
    #[arg(
        long,
        value_name = "RATE",
        help_heading = "Augmentation and regularisation",
        allow_negative_numbers = true
    )]
    pub weight_decay: Option<f64>,
}

impl Settings {
    /// Reads a file of settings.
    ///
    /// # Errors
    /// When it cannot be read, is no TOML, or has an unknown key or a value of a wrong kind.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map_err(Error::io(path))?;
        Self::parse(&text).map_err(|error| {
            let message = format!("{}: {}", path.display(), error.to_string().trim_end());
            Error::Config(message)
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

    /// These settings, and those of `other` where these say nothing.
    pub fn or(self, other: Self) -> Self {
        Self {
            epochs: self.epochs.or(other.epochs),
            batch_size: self.batch_size.or(other.batch_size),
            width: self.width.or(other.width),
            max_lr: self.max_lr.or(other.max_lr),
            seed: self.seed.or(other.seed),
            data: self.data.or(other.data),
            data_dir: self.data_dir.or(other.data_dir),
            device: self.device.or(other.device),
            kernels: self.kernels.or(other.kernels),
            memory_limit: self.memory_limit.or(other.memory_limit),
            out: self.out.or(other.out),
            pct_start: self.pct_start.or(other.pct_start),
            div_factor: self.div_factor.or(other.div_factor),
            final_div_factor: self.final_div_factor.or(other.final_div_factor),
            anneal: self.anneal.or(other.anneal),
            no_crop: self.no_crop.or(other.no_crop),
            no_flip: self.no_flip.or(other.no_flip),
            no_cutout: self.no_cutout.or(other.no_cutout),
            label_smoothing: self.label_smoothing.or(other.label_smoothing),
            weight_decay: self.weight_decay.or(other.weight_decay),
        }
    }
}

/// Reads a count, of any of the `NonZero` types, from the command line.
///
/// # Errors
/// What it must be, for zero, negative numbers and what is no number, or that it is too large.
pub fn at_least_one<T: FromStr<Err = ParseIntError>>(text: &str) -> Result<T, String> {
    whole_number(text, 1)
}

fn at_least_zero(text: &str) -> Result<u64, String> {
    whole_number(text, 0)
}

fn whole_number<T: FromStr<Err = ParseIntError>>(text: &str, least: u8) -> Result<T, String> {
    text.trim().parse().map_err(|error: ParseIntError| match error.kind() {
        IntErrorKind::PosOverflow => "is too large".to_string(),
        _ => format!("must be a whole number of at least {least}"),
    })
}

/// [`at_least_one`] for files.
fn read_at_least_one<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err = ParseIntError>,
{
    let value = toml::Value::deserialize(deserializer)?;
    at_least_one(&value.to_string()).map(Some).map_err(D::Error::custom)
}

/// A number of bytes that is written with a unit: `512MiB`, `2 GiB`, `1e9`, `800MB`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "toml::Value", into = "String")]
pub struct MemorySize(pub u64);

/// Units, the longer ones first where one ends in another.
const UNITS: [(&str, u64); 10] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("K", 1 << 10),
    ("M", 1 << 20),
    ("G", 1 << 30),
    ("B", 1),
];

impl FromStr for MemorySize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let lower = text.trim().to_ascii_lowercase();
        let with_unit = UNITS.iter().find_map(|(unit, bytes)| {
            lower.strip_suffix(&unit.to_ascii_lowercase()).map(|number| (number, *bytes))
        });
        let (number, unit) = with_unit.unwrap_or((&lower, 1));
        match number.trim().parse::<f64>() {
            Ok(number) if number.is_finite() && number >= 0.0 => {
                Ok(Self((number * unit as f64).round() as u64))
            }
            _ => Err(format!("{text:?} is no number of bytes; write 512MiB or 2GiB")),
        }
    }
}

impl TryFrom<toml::Value> for MemorySize {
    type Error = String;

    fn try_from(value: toml::Value) -> Result<Self, String> {
        match value {
            toml::Value::String(text) => text.parse(),
            toml::Value::Integer(bytes) => {
                u64::try_from(bytes).map(Self).map_err(|_| format!("{bytes} bytes are too few"))
            }
            other => Err(format!("{other} is no number of bytes; write \"512MiB\"")),
        }
    }
}

impl From<MemorySize> for String {
    fn from(size: MemorySize) -> Self {
        size.to_string()
    }
}

impl fmt::Display for MemorySize {
    /// In the largest binary unit that is exact.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = |(_, bytes): &&(&str, u64)| self.0 != 0 && self.0.is_multiple_of(*bytes);
        let (unit, bytes) = UNITS[..3].iter().rev().find(exact).unwrap_or(&("B", 1));
        write!(f, "{}{unit}", self.0 / bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_written() {
        for (text, bytes) in [
            ("512MiB", 512 << 20),
            ("2 gib", 2 << 30),
            ("1.5K", 1536),
            ("1e3", 1000),
            ("800MB", 800_000_000),
            ("77", 77),
            ("12B", 12),
        ] {
            assert_eq!(text.parse(), Ok(MemorySize(bytes)), "{text}");
            let written = MemorySize(bytes).to_string();
            assert_eq!(written.parse(), Ok(MemorySize(bytes)), "{written}");
        }
        assert_eq!(MemorySize(3 << 20).to_string(), "3MiB");
        for bad in ["", "MiB", "-1", "NaN", "inf", "ten"] {
            assert!(bad.parse::<MemorySize>().is_err(), "{bad}");
        }
    }

    #[test]
    fn files_hold_the_flags_and_nothing_else() {
        let text = "batch-size = 64\nmax_lr = 0.02\nno-crop = true\nmemory-limit = '1GiB'\ndata = 'shapes'";
        let settings = Settings::parse(text).expect("good settings");
        assert_eq!(settings.batch_size, NonZeroU32::new(64));
        assert_eq!(settings.max_lr, Some(0.02));
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
