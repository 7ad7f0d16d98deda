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
        "identity" => vec![
            ("a deeper network whose additional blocks are zero computes the same bits", Holds),
            (
                "a network that begins with additional blocks of zero trains no worse than one without them",
                Holds,
            ),
            (
                "a network that begins with additional blocks of zero has no higher test error than one without them",
                Holds,
            ),
        ],
        "gradient-flow" => vec![
            ("with batch norm, shortcuts keep the size of the gradient better than none", Holds),
            ("without batch norm, shortcuts keep the size of the gradient better than none", Fails),
            ("the gradient of a plain network with batch norm vanishes towards the images", Fails),
            ("with batch norm, shortcuts make gradients of neighbours at 1% more alike", Holds),
            ("with batch norm, shortcuts make gradients of neighbours at 10% more alike", Open),
            ("with batch norm, shortcuts make gradients of neighbours at 50% more alike", Open),
        ],
        "shortcut-scale" => vec![
            ("through the shortcuts alone, the gradient follows the power law", Holds),
            ("with shortcuts scaled by 2, the gradient explodes towards the images", Holds),
            ("with shortcuts scaled by 0.5, the gradient vanishes towards the images", Fails),
            ("a network with scaled shortcuts trains worse than one with clean shortcuts", Open),
        ],
        "paths" => vec![
            ("the gradient comes from paths that are shorter than the mean path", Holds),
            ("the gradient of a path falls with its length", Holds),
        ],
        "euler" => vec![
            ("a step is smaller than x: the norm of f(x) is below that of x", Holds),
            ("two half steps in place of each step do not raise the error", Holds),
            ("finer steps change the network less than coarser ones", Holds),
        ],
        _ => vec![],
    }
}
