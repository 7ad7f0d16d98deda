//! The table of an optimizer: for each parameter, whether a step updates it, its weight decay, and the factor of its
//! learning rate.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::Serialize;

use super::Case;
use super::optimizer::{Optimizer, WeightDecay};
use super::segments::{Segment, segments};
use crate::tape::prefixes::begins_with;
use crate::tape::{Initializer, Layout, NodeIo, Tape};

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

/// The update of one parameter.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Update {
    /// True if no step changes the parameter and its state.
    pub is_frozen: bool,
    /// The rate of the weight decay; 0 for no decay.
    pub weight_decay: f64,
    /// The factor of the learning rate.
    pub lr_factor: f64,
}

impl Default for Update {
    /// Returns an update without weight decay, at the learning rate of the step.
    fn default() -> Self {
        Self { is_frozen: false, weight_decay: 0.0, lr_factor: 1.0 }
    }
}

/// The updates of all parameters, in the order of the state's layout.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Updates(Arc<[Update]>);

impl Updates {
    /// Returns the updates of the parameters that are on the tape.
    pub fn new(tape: &Tape, weight_decay: WeightDecay, lr_scale: &LrScale) -> Self {
        let parameters = tape.state().parameters.iter();
        let update = parameters.map(|member| match tape.is_frozen(&member.name) {
            true => Update { is_frozen: true, ..Update::default() },
            false => Update {
                is_frozen: false,
                weight_decay: weight_decay.rate_of(member),
                lr_factor: lr_scale.of(&member.name),
            },
        });
        Self(update.collect())
    }

    /// Returns the segments of the node's first input, a flat buffer with the layout of the parameters, that a step
    /// updates. All members of a segment have the same update. A segment has at most `max_bytes` bytes, as in
    /// [`segments`].
    pub fn segments<'a>(
        &self,
        io: &NodeIo<'a>,
        max_bytes: Option<u64>,
    ) -> impl Iterator<Item = Segment<Update>> + 'a {
        let updates = Arc::clone(&self.0);
        let all = segments(io, 0, max_bytes, move |member| updates[member]);
        all.filter(|segment| !segment.group.is_frozen)
    }

    /// Returns the number of elements that a step updates, padding included.
    pub fn n_elements(&self, io: &NodeIo<'_>) -> usize {
        self.segments(io, None).map(Segment::n_elements).sum()
    }

    /// Returns a text such as `, 20 of 65 parameters, scaled learning rates` for listings; an empty text if all
    /// parameters are updated at the same learning rate.
    pub fn words(&self) -> String {
        let n = self.0.len();
        let n_updated = self.0.iter().filter(|update| !update.is_frozen).count();
        let part = match n_updated {
            n_updated if n_updated == n => String::new(),
            n_updated => format!(", {n_updated} of {n} parameters"),
        };
        let is_scaled = self.0.iter().any(|update| update.lr_factor != 1.0);
        part + if is_scaled { ", scaled learning rates" } else { "" }
    }
}

/// Returns a case of an optimizer over parameters with these shapes.
pub(super) fn case(
    shapes: &'static [&'static [usize]],
    optimizer: impl Optimizer + Send + Sync + 'static,
) -> Case {
    let name = format!("parameters of {shapes:?}, {}", optimizer.description());
    Case::new(name, 1, move |tape, _| {
        parameters(tape, shapes);
        optimizer.record(tape);
        Vec::new()
    })
}

/// Returns a case of an optimizer over five parameters: the second is frozen, and the last two have factors of the
/// learning rate.
pub(super) fn fine_tuning_case(optimizer: impl Optimizer + Send + Sync + 'static) -> Case {
    let (frozen, scale) = ("p1", "p3=0.5,p4=3");
    let name = format!("{frozen} frozen, rates {scale}, {}", optimizer.description());
    Case::new(name, 1, move |tape, _| {
        tape.freeze(&frozen.parse().expect("a list"));
        parameters(tape, &[&[5], &[67], &[3, 30], &[2, 2], &[70]]);
        optimizer.record_scaled(tape, &scale.parse().expect("a list"));
        Vec::new()
    })
}

/// Adds the parameters p0, p1, ... with these shapes.
fn parameters(tape: &mut Tape, shapes: &[&[usize]]) {
    for (ix, shape) in shapes.iter().enumerate() {
        let initializer = Initializer::Constant(0.0);
        tape.parameter(&format!("p{ix}"), shape, Layout::Plain, initializer);
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
