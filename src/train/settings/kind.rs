//! The kinds of settings: how the value of a setting is written in a flag and in a settings file.

use std::ffi::OsStr;
use std::fmt;
use std::num::{IntErrorKind, NonZeroU16, NonZeroU32, ParseIntError};
use std::path::PathBuf;
use std::str::FromStr;

use serde::Serialize;

use super::super::units::{
    Bounds, ClassWeights, Classes, Every, MaxLr, MemorySize, Milestones, PerChannel,
};
use crate::base::choice::Choice;
use crate::base::files;
use crate::data::image_file::Background;
use crate::data::{HeldOut, Source};
use crate::kernel::Kernels;
use crate::nn::networks::{NetworkRef, by_name};
use crate::ops::augment::CropPadding;
use crate::ops::finite_check::OnNonFinite;
use crate::ops::lr_scale::LrScale;
use crate::ops::optimizers::OptimizerKind;
use crate::tape::Prefixes;
use crate::train::schedule::{Anneal, ScheduleKind};

/// The quotation marks around a value in a settings file.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Quotes {
    /// None: a number, or true and false. The text describes the values in errors.
    Never(&'static str),
    /// Quotation marks: a name or a path.
    Always,
    /// Quotation marks unless the value is a number: `10` and `"10m"`.
    Mixed,
}

/// The type of a setting.
pub trait Kind: Sized + 'static {
    /// The type of the setting in a [`Recipe`](super::Recipe).
    type Value: Serialize + Clone + PartialEq + fmt::Debug;

    /// The quotation marks in a settings file.
    const QUOTES: Quotes;

    /// The names of all values with their help texts; empty for a kind without names.
    const NAMES: fn() -> Vec<(&'static str, &'static str)> = Vec::new;

    /// Reads a value.
    ///
    /// # Errors
    /// The rule that the text breaks.
    fn read(text: &str) -> Result<Self, String>;

    /// Reads the value of a flag.
    ///
    /// # Errors
    /// The rule that the value breaks.
    fn from_flag(value: &OsStr) -> Result<Self, String> {
        Self::read(value.to_str().ok_or("is not UTF-8")?)
    }

    /// Reads a value from a settings file.
    ///
    /// # Errors
    /// The rule that the value breaks.
    fn from_file(value: &toml::Value) -> Result<Self, String> {
        match (value, Self::QUOTES) {
            (text @ toml::Value::String(_), Quotes::Never(kind)) => {
                Err(format!("{text} is a string, but must be {kind}, without quotation marks"))
            }
            (toml::Value::String(text), _) => Self::read(text),
            (other, Quotes::Always) => Err(format!("{other} is not in quotation marks")),
            (other, _) => Self::read(&other.to_string()),
        }
    }

    /// Returns the value for a recipe; none if the default value is to be taken.
    fn value(self) -> Option<Self::Value>;
}

/// Reads a count of at least 1 as one of the `NonZero` types.
///
/// # Errors
/// If the text is not a whole number, or the number is below 1 or too large: the rule that it breaks.
pub fn at_least_one<T: FromStr<Err = ParseIntError>>(text: &str) -> Result<T, String> {
    whole_number(text, 1)
}

/// Reads a whole number of at least `least`.
fn whole_number<T: FromStr<Err = ParseIntError>>(text: &str, least: u8) -> Result<T, String> {
    text.trim().parse().map_err(|error: ParseIntError| match error.kind() {
        IntErrorKind::PosOverflow => "is too large".to_string(),
        _ => format!("must be a whole number of at least {least}"),
    })
}

/// The words for a count in errors.
const COUNT: Quotes = Quotes::Never("a whole number of at least 1");

impl Kind for NonZeroU32 {
    type Value = usize;
    const QUOTES: Quotes = COUNT;
    fn read(text: &str) -> Result<Self, String> {
        at_least_one(text)
    }
    fn value(self) -> Option<usize> {
        Some(self.get() as usize)
    }
}

impl Kind for NonZeroU16 {
    type Value = usize;
    const QUOTES: Quotes = COUNT;
    fn read(text: &str) -> Result<Self, String> {
        at_least_one(text)
    }
    fn value(self) -> Option<usize> {
        Some(self.get().into())
    }
}

impl Kind for u64 {
    type Value = u64;
    const QUOTES: Quotes = Quotes::Never("a whole number of at least 0");
    fn read(text: &str) -> Result<Self, String> {
        whole_number(text, 0)
    }
    fn value(self) -> Option<u64> {
        Some(self)
    }
}

impl Kind for f64 {
    type Value = f64;
    const QUOTES: Quotes = Quotes::Never("a number");
    fn read(text: &str) -> Result<Self, String> {
        text.trim().parse().map_err(|_| "must be a number".to_string())
    }
    fn value(self) -> Option<f64> {
        Some(self)
    }
}

impl Kind for bool {
    type Value = bool;
    const QUOTES: Quotes = Quotes::Never("true or false");
    fn read(text: &str) -> Result<Self, String> {
        text.trim().parse().map_err(|_| "must be true or false".to_string())
    }
    fn value(self) -> Option<bool> {
        Some(self)
    }
}

impl Kind for String {
    type Value = String;
    const QUOTES: Quotes = Quotes::Always;
    fn read(text: &str) -> Result<Self, String> {
        Ok(text.to_string())
    }
    fn value(self) -> Option<String> {
        Some(self)
    }
}

impl Kind for PathBuf {
    type Value = PathBuf;
    const QUOTES: Quotes = Quotes::Always;
    fn read(text: &str) -> Result<Self, String> {
        Ok(text.into())
    }
    /// Reads a path. `~` at its beginning is the home folder: a shell does not replace it in `--out=~/run`.
    fn from_flag(value: &OsStr) -> Result<Self, String> {
        files::expand_home(value.as_ref()).map_err(|error| error.to_string())
    }
    fn from_file(value: &toml::Value) -> Result<Self, String> {
        let path = value.as_str().ok_or_else(|| format!("{value} is not in quotation marks"))?;
        Self::from_flag(path.as_ref())
    }
    /// Returns the path as Unicode, which TOML requires.
    fn value(self) -> Option<PathBuf> {
        Some(self.to_string_lossy().into_owned().into())
    }
}

impl Kind for MaxLr {
    type Value = f64;
    const QUOTES: Quotes = Quotes::Mixed;
    fn read(text: &str) -> Result<Self, String> {
        text.parse()
    }
    /// Returns the learning rate; none for a sweep, whose result replaces the default before training.
    fn value(self) -> Option<f64> {
        match self {
            MaxLr::Rate(rate) => Some(rate),
            MaxLr::Find => None,
        }
    }
}

/// Implements [`Kind`] for types that read their own text.
macro_rules! kinds_with_text {
    ($($type:ty),*) => {$(
        impl Kind for $type {
            type Value = Self;
            const QUOTES: Quotes = Quotes::Mixed;
            fn read(text: &str) -> Result<Self, String> {
                text.parse()
            }
            fn value(self) -> Option<Self> {
                Some(self)
            }
        }
    )*};
}

kinds_with_text!(
    Background,
    Bounds,
    ClassWeights,
    Classes,
    Every,
    HeldOut,
    LrScale,
    MemorySize,
    Milestones,
    PerChannel,
    Prefixes
);

impl Kind for NetworkRef {
    type Value = Self;
    const QUOTES: Quotes = Quotes::Always;
    // The list of names is long and not complete, so help texts do not have it.
    fn read(text: &str) -> Result<Self, String> {
        by_name(text)
    }
    fn value(self) -> Option<Self> {
        Some(self)
    }
}

/// Implements [`Kind`] for types with named values.
macro_rules! kinds_with_names {
    ($($type:ty),*) => {$(
        impl Kind for $type {
            type Value = Self;
            const QUOTES: Quotes = Quotes::Always;
            const NAMES: fn() -> Vec<(&'static str, &'static str)> =
                || <Self as Choice>::ALL.iter().map(|&(_, name, help)| (name, help)).collect();
            fn read(text: &str) -> Result<Self, String> {
                Self::from_name(text)
            }
            fn value(self) -> Option<Self> {
                Some(self)
            }
        }
    )*};
}

kinds_with_names!(Anneal, CropPadding, Kernels, OnNonFinite, OptimizerKind, ScheduleKind);

impl Kind for Source {
    type Value = Self;
    const QUOTES: Quotes = Quotes::Always;
    const NAMES: fn() -> Vec<(&'static str, &'static str)> = Source::names;
    fn read(text: &str) -> Result<Self, String> {
        Self::from_name(text)
    }
    fn value(self) -> Option<Self> {
        Some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_at_least_one_and_errors_state_the_rule() {
        assert_eq!(NonZeroU16::read("7"), Ok(NonZeroU16::new(7).expect("not zero")));
        for text in ["0", "-1", "1.5", "many", ""] {
            let error = NonZeroU16::read(text).expect_err(text);
            assert_eq!(error, "must be a whole number of at least 1");
        }
        assert_eq!(NonZeroU16::read("65536").expect_err("too large"), "is too large");
    }

    #[test]
    fn a_value_in_a_file_has_the_quotation_marks_of_its_kind() {
        let of = |text: &str| text.parse::<toml::Value>().expect("a value");
        assert_eq!(f64::from_file(&of("0")), Ok(0.0));
        assert_eq!(MaxLr::from_file(&of("0.5")), Ok(MaxLr::Rate(0.5)));
        assert_eq!(MaxLr::from_file(&of("'find'")), Ok(MaxLr::Find));
        assert!(
            f64::from_file(&of("'0'")).expect_err("quoted").contains("without quotation marks")
        );
        assert!(String::from_file(&of("0")).expect_err("bare").contains("not in quotation marks"));
        assert!(PathBuf::from_file(&of("0")).expect_err("bare").contains("not in quotation marks"));
    }
}
