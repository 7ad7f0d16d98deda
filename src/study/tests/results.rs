//! The verdicts of the studies at their default size, with seed 0, on the 6,000 images of CIFAR-10 that the lessons' text
//! shows.

use crate::study::lab::Verdict::{self, Fails, Holds, Open};

/// Returns the claims and verdicts of a study, in the order of its page.
pub fn of(name: &str) -> Vec<(&'static str, Verdict)> {
    match name {
        "degradation" => vec![
            ("plain networks of more layers train worse", Holds),
            ("residual networks of more layers train no worse", Holds),
        ],
        "lesion" => vec![
            ("a residual network survives a lost block", Holds),
            ("a plain network does not", Holds),
            (
                "the error of a residual network rises smoothly with the number of deleted blocks",
                Open,
            ),
            (
                "the error of a residual network rises smoothly with the number of exchanged pairs of blocks",
                Open,
            ),
        ],
        "receptive-field" => vec![
            ("training enlarges the effective field of stage 1", Fails),
            ("training enlarges the effective field of stage 2", Fails),
            ("training enlarges the effective field of stage 3", Fails),
            ("the effective field is smaller than the theoretical one", Holds),
            ("a unit of the last stage can depend on more than the image", Holds),
            (
                "the field of a stack with equal weights grows as the square root of its depth",
                Holds,
            ),
            (
                "the field of a stack with random weights grows as the square root of its depth",
                Holds,
            ),
        ],
        "transfer" => vec![
            ("for its own task, no features are better than the last ones", Holds),
            ("for other classes, earlier features are better than the last ones", Open),
            ("for turned images, earlier features are better than the last ones", Open),
            ("for its own task, a copy of all layers but the last loses nothing", Holds),
            (
                "for other classes, a copy of fewer layers is better than one of all but the last",
                Holds,
            ),
        ],
        "views" => vec![
            ("deep units respond to classes, and units of the stem less so", Open),
            (
                "gradient ascent makes images that excite a channel more than all test images do",
                Open,
            ),
        ],
        _ => vec![],
    }
}
