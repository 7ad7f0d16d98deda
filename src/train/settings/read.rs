//! Readers of single settings, from the command line and from files.

use std::num::{IntErrorKind, ParseIntError};
use std::path::PathBuf;
use std::str::FromStr;

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};

use crate::base::files;

/// Reads a count of at least 1 from the command line, as one of the `NonZero` types.
///
/// # Errors
/// If the text is not a whole number, or the number is below 1 or too large. The error states the rule.
pub fn at_least_one<T: FromStr<Err = ParseIntError>>(text: &str) -> Result<T, String> {
    whole_number(text, 1)
}

/// Reads a count of at least 0 from the command line.
///
/// # Errors
/// If the text is not a whole number, or the number is negative or too large. The error states the rule.
pub fn at_least_zero(text: &str) -> Result<u64, String> {
    whole_number(text, 0)
}

fn whole_number<T: FromStr<Err = ParseIntError>>(text: &str, least: u8) -> Result<T, String> {
    text.trim().parse().map_err(|error: ParseIntError| match error.kind() {
        IntErrorKind::PosOverflow => "is too large".to_string(),
        _ => format!("must be a whole number of at least {least}"),
    })
}

/// Reads a count of at least 1 from a settings file, with the same rules as [`at_least_one`] on the command line.
pub(super) fn at_least_one_of_file<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err = ParseIntError>,
{
    let value = unquoted(deserializer, "a whole number of at least 1")?;
    at_least_one(&value.to_string()).map(Some).map_err(D::Error::custom)
}

/// A type whose values have no quotation marks in a settings file.
pub(super) trait Plain: DeserializeOwned {
    /// The description of a value of this type, for errors.
    const KIND: &'static str;
}

impl Plain for f64 {
    const KIND: &'static str = "a number";
}

impl Plain for u64 {
    const KIND: &'static str = "a whole number of at least 0";
}

impl Plain for bool {
    const KIND: &'static str = "true or false";
}

/// Reads a number or a bool from a settings file.
pub(super) fn plain<'de, D: Deserializer<'de>, T: Plain>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    let value = unquoted(deserializer, T::KIND)?;
    let refused = |_| D::Error::custom(format!("must be {}", T::KIND));
    value.try_into().map(Some).map_err(refused)
}

/// Returns a value from a settings file. A string is an error, even if it contains a number: `batch-size = "20"`.
fn unquoted<'de, D: Deserializer<'de>>(
    deserializer: D,
    kind: &str,
) -> Result<toml::Value, D::Error> {
    match toml::Value::deserialize(deserializer)? {
        text @ toml::Value::String(_) => {
            let message =
                format!("{text} is a string, but must be {kind}, without quotation marks");
            Err(D::Error::custom(message))
        }
        value => Ok(value),
    }
}

/// Reads a path from a settings file. `~` at the beginning of the path is the home folder.
pub(super) fn path<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<PathBuf>, D::Error> {
    let path = PathBuf::deserialize(deserializer)?;
    files::expand_home(&path).map(Some).map_err(D::Error::custom)
}
