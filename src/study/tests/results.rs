//! The verdicts of the studies at their default size, with seed 0, on the 6,000 images of CIFAR-10 that the lessons' text
//! shows.

use crate::study::lab::Verdict::{self, Fails, Holds};

/// Returns the claims and verdicts of a study, in the order of its page.
pub fn of(name: &str) -> Vec<(&'static str, Verdict)> {
    match name {
        "degradation" => vec![
            ("plain networks of more layers train worse", Holds),
            ("residual networks of more layers train no worse", Fails),
            ("of 56 layers, those with shortcuts train better", Holds),
        ],
        _ => vec![],
    }
}
