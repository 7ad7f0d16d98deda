//! Two numbers: the ends of a range.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// The ends of a range, written as `0.08,1`.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
#[serde(into = "String")]
pub struct Bounds(pub [f64; 2]);

impl FromStr for Bounds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split_once(',').and_then(|(least, most)| {
            Some(Self([least.trim().parse().ok()?, most.trim().parse().ok()?]))
        });
        numbers.ok_or_else(|| {
            format!(
                "{text:?} is not two numbers with a comma between them; write for example 0.08,1"
            )
        })
    }
}

impl From<Bounds> for String {
    fn from(bounds: Bounds) -> Self {
        bounds.to_string()
    }
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self([least, most]) = self;
        write!(f, "{least},{most}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_read_back() {
        let bounds: Bounds = "0.75, 1.5".parse().expect("two numbers");
        assert_eq!((bounds, bounds.to_string().as_str()), (Bounds([0.75, 1.5]), "0.75,1.5"));
        for bad in ["", "1", "1,", "1,2,3", "a,b"] {
            assert!(bad.parse::<Bounds>().is_err(), "{bad}");
        }
    }
}
