//! Sets of parameters, written as the beginnings of their names: `conv1,layer1`.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

/// A list of beginnings of names. A beginning ends at a dot: `layer1` selects `layer1.0.conv1.weight`, and not
/// `layer10.0.conv1.weight`.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize)]
#[serde(into = "String")]
pub struct Prefixes(Vec<String>);

impl Prefixes {
    /// Returns true for the list that selects no name.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns true if a name begins with one of the prefixes.
    pub fn select(&self, name: &str) -> bool {
        self.0.iter().any(|prefix| begins_with(name, prefix))
    }

    /// Returns the prefixes, in their order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

/// Returns true if `name` is `prefix`, or begins with `prefix` and a dot.
pub fn begins_with(name: &str, prefix: &str) -> bool {
    name.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

impl FromStr for Prefixes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let prefixes: Vec<_> = text.split(',').map(|prefix| prefix.trim().to_string()).collect();
        if prefixes.iter().any(String::is_empty) {
            return Err(format!(
                "{text:?} is not a list of beginnings of parameter names; write for example conv1,bn1,layer1"
            ));
        }
        Ok(Self(prefixes))
    }
}

impl From<Prefixes> for String {
    fn from(prefixes: Prefixes) -> Self {
        prefixes.to_string()
    }
}

impl fmt::Display for Prefixes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_at_a_dot() {
        let prefixes: Prefixes = "conv1, layer1,fc.bias".parse().expect("a list");
        assert_eq!(prefixes.to_string(), "conv1,layer1,fc.bias");
        for name in ["conv1.weight", "layer1", "layer1.0.conv1.weight", "fc.bias"] {
            assert!(prefixes.select(name), "{name}");
        }
        for name in ["conv10.weight", "layer10.0.conv1.weight", "fc.weight", "layer2.conv1.weight"]
        {
            assert!(!prefixes.select(name), "{name}");
        }
        assert!(Prefixes::default().is_empty() && !Prefixes::default().select("conv1.weight"));
        for bad in ["", ",", "conv1,", " "] {
            assert!(bad.parse::<Prefixes>().is_err(), "{bad:?}");
        }
    }
}
