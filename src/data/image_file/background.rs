//! The colour behind transparent pixels.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// Red, green and blue of the colour with which transparent pixels are blended: in settings `255,255,255`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(into = "String")]
pub struct Background(pub [u8; 3]);

impl Default for Background {
    /// Returns white.
    fn default() -> Self {
        Self([u8::MAX; 3])
    }
}

impl fmt::Display for Background {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self([red, green, blue]) = self;
        write!(f, "{red},{green},{blue}")
    }
}

impl From<Background> for String {
    fn from(background: Background) -> Self {
        background.to_string()
    }
}

impl FromStr for Background {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers: Result<Vec<u8>, _> = text.split(',').map(|word| word.trim().parse()).collect();
        let rgb = numbers.ok().and_then(|numbers| numbers.try_into().ok()).map(Self);
        rgb.ok_or_else(|| {
            format!(
                "{text:?} is not a colour; write red, green and blue from 0 to 255, as 255,255,255"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_colour_is_three_numbers() {
        assert_eq!("1, 20,255".parse(), Ok(Background([1, 20, 255])));
        assert_eq!("255,255,255".parse(), Ok(Background::default()));
        for bad in ["", "1,2", "1,2,3,4", "1,2,256", "white", "-1,0,0"] {
            assert!(bad.parse::<Background>().is_err(), "{bad}");
        }
    }
}
