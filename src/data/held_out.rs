//! The part of the training images that is held out for validation.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// The training images to hold out: a number of images, or a part of them.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
#[serde(untagged)]
pub enum HeldOut {
    /// A number of images.
    Number(u64),
    /// A part of the images, above 0 and below 1.
    Part(f64),
}

impl HeldOut {
    /// No images.
    pub const NONE: Self = Self::Number(0);

    /// Returns the number of images, of `n`, that are held out; a part is rounded.
    pub fn of(self, n: usize) -> u64 {
        match self {
            Self::Number(number) => number,
            Self::Part(part) => (part * n as f64).round() as u64,
        }
    }
}

impl fmt::Display for HeldOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Part(part) => write!(f, "{part}"),
        }
    }
}

impl FromStr for HeldOut {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(number) = text.parse() {
            return Ok(Self::Number(number));
        }
        let part = text.parse().ok().filter(|part| (0.0..1.0).contains(part));
        part.map(|part| if part == 0.0 { Self::NONE } else { Self::Part(part) })
            .ok_or_else(|| "must be a number of images, or a part of them such as 0.1".to_string())
    }
}
