//! Factors of the learning rate, by the beginnings of the names of parameters.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use crate::tape::prefixes::begins_with;

/// The factors of the learning rates of some parameters, by the beginnings of their names: `layer4=0.1,fc=2`. A
/// beginning ends at a dot, as in [`Prefixes`](crate::tape::Prefixes). If several select a parameter, the longest
/// counts. The factor of the other parameters is 1.
#[derive(Clone, PartialEq, Default, Debug, Serialize)]
#[serde(into = "String")]
pub struct LrScale(Vec<(String, f64)>);

impl LrScale {
    /// Returns the factor of the parameter with this name.
    pub fn of(&self, name: &str) -> f64 {
        let here = self.0.iter().filter(|(prefix, _)| begins_with(name, prefix));
        here.max_by_key(|(prefix, _)| prefix.len()).map_or(1.0, |&(_, factor)| factor)
    }

    /// Returns the prefixes, in their order.
    pub fn prefixes(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(prefix, _)| prefix.as_str())
    }
}

impl FromStr for LrScale {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refused = || {
            format!(
                "{text:?} is not a list of parameters with factors above 0; write for example layer4=0.1,fc=2"
            )
        };
        let pair = |pair: &str| {
            let (prefix, factor) = pair.split_once('=')?;
            let (prefix, factor) = (prefix.trim(), factor.trim().parse::<f64>().ok()?);
            // Devices compute in f32.
            let is_factor = factor as f32 > 0.0 && (factor as f32).is_finite();
            (!prefix.is_empty() && is_factor).then(|| (prefix.to_string(), factor))
        };
        let pairs: Vec<_> = text.split(',').map(pair).collect::<Option<_>>().ok_or_else(refused)?;
        let is_twice = |ix: usize| pairs[..ix].iter().any(|(prefix, _)| *prefix == pairs[ix].0);
        if (0..pairs.len()).any(is_twice) {
            return Err(refused());
        }
        Ok(Self(pairs))
    }
}

impl From<LrScale> for String {
    fn from(scale: LrScale) -> Self {
        scale.to_string()
    }
}

impl fmt::Display for LrScale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pairs: Vec<_> =
            self.0.iter().map(|(prefix, factor)| format!("{prefix}={factor}")).collect();
        f.write_str(&pairs.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_prefix_gives_the_factor() {
        let scale: LrScale = "layer4=0.1, layer4.1=0.5,fc=2".parse().expect("a list");
        assert_eq!(scale.to_string(), "layer4=0.1,layer4.1=0.5,fc=2");
        let factors = ["layer4.0.conv1.weight", "layer4.1.bn1.bias", "fc.weight", "layer40.weight"]
            .map(|name| scale.of(name));
        assert_eq!(factors, [0.1, 0.5, 2.0, 1.0]);
        for bad in
            ["", "fc", "fc=", "=1", "fc=0", "fc=-1", "fc=nan", "fc=inf", "fc=1e-60", "a=1,a=2"]
        {
            assert!(bad.parse::<LrScale>().is_err(), "{bad:?}");
        }
    }
}
