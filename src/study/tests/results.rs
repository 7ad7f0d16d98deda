//! The verdicts of the studies at their default size, with seed 0, on the 6,000 images of CIFAR-10 that the lessons' text
//! shows.

use crate::study::lab::Verdict::{self, Fails, Holds, Open};

/// Returns the claims and verdicts of a study, in the order of its page.
pub fn of(name: &str) -> Vec<(&'static str, Verdict)> {
    match name {
        "degradation" => vec![
            ("plain networks of more layers train worse", Holds),
            ("residual networks of more layers train no worse", Fails),
            ("of 56 layers, those with shortcuts train better", Holds),
        ],
        "one-cycle" => vec![
            (
                "one cycle gives a lower error than a constant rate, steps and the cosine at equal cost",
                Open,
            ),
            (
                "a peak after 5 of 24 epochs gives a lower error than an earlier and a later one",
                Fails,
            ),
            ("with straight lines, a last rate near zero gives no higher accuracy", Holds),
            (
                "with half periods of the cosine, a last rate near zero gives no higher accuracy",
                Holds,
            ),
        ],
        "lr-finder" => vec![
            ("logarithmic steps cover the slope better than linear ones", Holds),
            ("augmentation smooths the curve", Open),
            ("the middle of the slope trains better than its start and its end", Open),
            ("no other rule of the finder gives a lower error than the middle of the slope", Holds),
        ],
        "augmentation" => vec![
            ("crop lowers the test error", Open),
            ("flip lowers the test error", Open),
            ("cutout lowers the test error", Open),
            ("a little colour jitter lowers the test error", Holds),
            ("much colour jitter raises the test error", Holds),
            ("augmentation narrows the gap between training and test", Holds),
        ],
        _ => vec![],
    }
}
