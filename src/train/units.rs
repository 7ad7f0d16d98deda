//! Types of settings with their own syntax: sizes of memory, intervals between checkpoints, the peak of the learning
//! rate, numbers for each channel, classes.

mod classes;

mod bounds;
mod class_weights;

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use self::classes::Classes;

pub use bounds::Bounds;
pub use class_weights::ClassWeights;

/// A number of bytes. In settings it may have a unit: `512MiB`, `2 GiB`, `1e9`, `800MB`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "toml::Value", into = "String")]
pub struct MemorySize(pub u64);

/// The units and their sizes in bytes. The first unit with which a text ends counts, so `KiB` and `KB` come before `B`.
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
        let number = number.trim();
        // Integers are read exactly. An f64 would round those above 2^53.
        if let Some(bytes) = number.parse::<u64>().ok().and_then(|n| n.checked_mul(unit)) {
            return Ok(Self(bytes));
        }
        match number.parse::<f64>() {
            Ok(number) if number.is_finite() && number >= 0.0 => {
                Ok(Self((number * unit as f64).round() as u64))
            }
            _ => {
                Err(format!("{text:?} is not a number of bytes; write for example 512MiB or 2GiB"))
            }
        }
    }
}

impl TryFrom<toml::Value> for MemorySize {
    type Error = String;

    fn try_from(value: toml::Value) -> Result<Self, String> {
        match value {
            toml::Value::String(text) => text.parse(),
            toml::Value::Integer(bytes) => u64::try_from(bytes).map(Self).map_err(|_| {
                format!("{bytes} is not a number of bytes; write for example \"512MiB\"")
            }),
            other => Err(format!("{other} is not a number of bytes; write for example \"512MiB\"")),
        }
    }
}

impl From<MemorySize> for String {
    fn from(size: MemorySize) -> Self {
        size.to_string()
    }
}

impl fmt::Display for MemorySize {
    /// Writes the size in the largest binary unit that gives a whole number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = |(_, bytes): &&(&str, u64)| self.0 != 0 && self.0.is_multiple_of(*bytes);
        let (unit, bytes) = UNITS[..3].iter().rev().find(exact).unwrap_or(&("B", 1));
        write!(f, "{}{unit}", self.0 / bytes)
    }
}

/// The interval between checkpoints: `100` (steps), `10m` or `1.5m` (minutes), or `epoch`. A run also writes a
/// checkpoint at the end of every epoch.
#[derive(Clone, Copy, PartialEq, Default, Debug, Serialize, Deserialize)]
#[serde(try_from = "toml::Value", into = "String")]
pub enum Every {
    /// No checkpoint except at the end of every epoch.
    #[default]
    Epoch,
    /// A checkpoint whenever the step, counted over the whole run, is a multiple of this number.
    Steps(NonZeroU64),
    /// A checkpoint when this number of minutes has passed since the previous one.
    Minutes(f64),
}

impl FromStr for Every {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let refused = || {
            format!("{text:?} is not an interval; write 100 for steps, 10m for minutes, or epoch")
        };
        if text == "epoch" {
            return Ok(Self::Epoch);
        }
        match text.strip_suffix('m') {
            Some(minutes) => match minutes.trim().parse::<f64>() {
                Ok(minutes) if minutes > 0.0 && minutes.is_finite() => Ok(Self::Minutes(minutes)),
                _ => Err(refused()),
            },
            None => text.parse().map(Self::Steps).map_err(|_| refused()),
        }
    }
}

impl TryFrom<toml::Value> for Every {
    type Error = String;

    fn try_from(value: toml::Value) -> Result<Self, String> {
        match value {
            toml::Value::String(text) => text.parse(),
            other => other.to_string().parse(),
        }
    }
}

impl From<Every> for String {
    fn from(every: Every) -> Self {
        every.to_string()
    }
}

impl fmt::Display for Every {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Epoch => f.write_str("epoch"),
            Self::Steps(steps) => write!(f, "{steps}"),
            Self::Minutes(minutes) => write!(f, "{minutes}m"),
        }
    }
}

/// The peak of the learning rate: a number such as `0.01`, or `find`, for a sweep before training.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
#[serde(try_from = "toml::Value", into = "toml::Value")]
pub enum MaxLr {
    /// This learning rate.
    Rate(f64),
    /// The learning rate that a sweep suggests: see [`lr_find`](super::lr_find).
    Find,
}

impl FromStr for MaxLr {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim() {
            "find" => Ok(Self::Find),
            rate => rate.parse().map(Self::Rate).map_err(|_| {
                format!("{text:?} is not a learning rate; write a number, or find for a sweep")
            }),
        }
    }
}

impl TryFrom<toml::Value> for MaxLr {
    type Error = String;

    fn try_from(value: toml::Value) -> Result<Self, String> {
        match value {
            toml::Value::Float(rate) => Ok(Self::Rate(rate)),
            toml::Value::String(text) => text.parse(),
            other => other.to_string().parse(),
        }
    }
}

impl From<MaxLr> for toml::Value {
    fn from(max_lr: MaxLr) -> Self {
        match max_lr {
            MaxLr::Rate(rate) => rate.into(),
            MaxLr::Find => "find".into(),
        }
    }
}

/// Epochs, in ascending order: `100,150`. An epoch may be a fraction.
#[derive(Clone, PartialEq, Default, Debug, Serialize, Deserialize)]
#[serde(try_from = "toml::Value", into = "String")]
pub struct Milestones(pub Vec<f64>);

impl FromStr for Milestones {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refused =
            || format!("{text:?} is not a list of ascending epochs; write for example 100,150");
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let epochs: Result<Vec<f64>, _> =
            text.split(',').map(|epoch| epoch.trim().parse()).collect();
        let epochs = epochs.map_err(|_| refused())?;
        let is_epoch = |epoch: &f64| *epoch >= 0.0 && epoch.is_finite();
        let is_list = epochs.iter().all(is_epoch) && epochs.is_sorted();
        is_list.then_some(Self(epochs)).ok_or_else(refused)
    }
}

impl TryFrom<toml::Value> for Milestones {
    type Error = String;

    fn try_from(value: toml::Value) -> Result<Self, String> {
        match value {
            toml::Value::String(text) => text.parse(),
            toml::Value::Array(epochs) => {
                let texts: Vec<_> = epochs.iter().map(toml::Value::to_string).collect();
                texts.join(",").parse()
            }
            other => other.to_string().parse(),
        }
    }
}

impl From<Milestones> for String {
    fn from(milestones: Milestones) -> Self {
        milestones.to_string()
    }
}

impl fmt::Display for Milestones {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let epochs: Vec<_> = self.0.iter().map(f64::to_string).collect();
        f.write_str(&epochs.join(","))
    }
}

/// The numbers that normalise the channels of images: a mean or a standard deviation for each channel.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(into = "String")]
pub enum PerChannel {
    /// One number for each channel, written as `0.485,0.456,0.406`.
    Numbers(Vec<f64>),
    /// Those of ImageNet's training images, written as `imagenet`.
    ImageNet,
    /// Those of the dataset, written as `auto`.
    Auto,
}

impl FromStr for PerChannel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim() {
            "imagenet" => return Ok(Self::ImageNet),
            "auto" => return Ok(Self::Auto),
            _ => {}
        }
        let numbers: Result<Vec<f64>, _> =
            text.split(',').map(|number| number.trim().parse()).collect();
        let numbers = numbers.map(Self::Numbers);
        numbers.map_err(|_| {
            format!(
                "{text:?} is not a number for each channel; write for example 0.485,0.456,0.406, or imagenet, or auto"
            )
        })
    }
}

impl From<PerChannel> for String {
    fn from(numbers: PerChannel) -> Self {
        numbers.to_string()
    }
}

impl fmt::Display for PerChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ImageNet => f.write_str("imagenet"),
            Self::Auto => f.write_str("auto"),
            Self::Numbers(numbers) => {
                let numbers: Vec<_> = numbers.iter().map(f64::to_string).collect();
                f.write_str(&numbers.join(","))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_for_each_channel_is_read_back() {
        let numbers: PerChannel = "0.485, 0.456,1".parse().expect("three numbers");
        assert_eq!(numbers, PerChannel::Numbers(vec![0.485, 0.456, 1.0]));
        assert_eq!(numbers.to_string(), "0.485,0.456,1");
        for bad in ["", "0.5,", "a,b,c"] {
            assert!(bad.parse::<PerChannel>().is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_have_units_and_are_read_back() {
        for (text, bytes) in [
            ("512MiB", 512 << 20),
            ("2 gib", 2 << 30),
            ("1.5K", 1536),
            ("1e3", 1000),
            ("800MB", 800_000_000),
            ("77", 77),
            ("12B", 12),
            ("2531906049332683555", 2_531_906_049_332_683_555),
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
    fn intervals_are_steps_minutes_or_epoch() {
        let steps = |n| Every::Steps(NonZeroU64::new(n).expect("not zero"));
        for (text, every) in [
            ("7", steps(7)),
            ("10m", Every::Minutes(10.0)),
            ("1.5m", Every::Minutes(1.5)),
            ("epoch", Every::Epoch),
        ] {
            assert_eq!(text.parse(), Ok(every), "{text}");
            assert_eq!(every.to_string(), text);
        }
        for bad in ["", "0", "-7", "m", "0m", "-1m", "NaNm", "infm", "7s", "often"] {
            assert!(bad.parse::<Every>().is_err(), "{bad}");
        }
        assert_eq!(Every::try_from(toml::Value::Integer(7)), Ok(steps(7)));
    }
}
