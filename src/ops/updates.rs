//! The table of an optimizer: for each parameter, whether a step updates it, its weight decay, and the factor of its
//! learning rate.

use std::sync::Arc;

use super::Case;
use super::lr_scale::LrScale;
use super::optimizer::{Optimizer, WeightDecay};
use super::segments::{Segment, segments};
use crate::tape::{Initializer, Layout, NodeIo, Tape};

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
