//! Verdicts of the studies at their default size, with seed 0, on the 6,000 images of CIFAR-10 that the lessons' text shows.
//!
//! The list has the claims that are decided by more than their intervals. Others may be decided otherwise on another machine,
//! whose sums have other roundings; times are not listed either.

use crate::study::lab::Verdict::{self, Fails, Holds};

/// The claims of the study of bottlenecks that do not depend on a clock.
const BOTTLENECK: [&str; 6] = [
    "a bottleneck network with as many channels has fewer parameters than a basic one of equal depth",
    "a bottleneck network with as many channels needs fewer operations than a basic one of equal depth",
    "a bottleneck network with as many channels takes less memory than a basic one of equal depth",
    "a bottleneck network with four times the channels has fewer parameters than a basic one of equal depth",
    "a bottleneck network with four times the channels needs fewer operations than a basic one of equal depth",
    "a bottleneck network with four times the channels takes less memory than a basic one of equal depth",
];

/// Returns claims and verdicts of a study.
pub fn of(name: &str) -> Vec<(&'static str, Verdict)> {
    match name {
        "degradation" => vec![("plain networks of more layers train worse", Holds)],
        "lr-finder" => {
            vec![("logarithmic steps cover the slope better than linear ones", Holds)]
        }
        "lesion" => vec![
            ("a residual network survives a lost block", Holds),
            ("a plain network does not survive a lost block", Holds),
        ],
        "receptive-field" => vec![
            ("training enlarges the effective field of stage 1", Fails),
            ("training enlarges the effective field of stage 2", Fails),
            ("training enlarges the effective field of stage 3", Fails),
            (
                "before training, the middle quarter of the theoretical field has more than 90% of the squared gradient",
                Holds,
            ),
            (
                "after training, the middle quarter of the theoretical field has more than 90% of the squared gradient",
                Holds,
            ),
            ("a unit of the last stage can depend on more than the image", Holds),
        ],
        "shortcut-kind" => {
            vec![("a 1x1 convolution with stride 2 ignores part of the pixels", Holds)]
        }
        "bottleneck" => {
            BOTTLENECK.into_iter().zip([Holds, Holds, Holds, Holds, Holds, Fails]).collect()
        }
        "add-or-concat" => vec![("concatenation takes more memory than addition", Holds)],
        "batch-norm" => vec![("batch norm tolerates higher learning rates", Holds)],
        "identity" => vec![
            ("a deeper network whose additional blocks are zero computes the same bits", Holds),
            (
                "additional blocks that begin at zero raise the training error after training by at most 2 points",
                Holds,
            ),
        ],
        "gradient-flow" => vec![
            ("with batch norm, shortcuts keep the size of the gradient better than none", Holds),
            ("without batch norm, shortcuts keep the size of the gradient better than none", Fails),
            ("the gradient of a plain network with batch norm vanishes towards the images", Fails),
            ("with batch norm, shortcuts make gradients of neighbours at 1% more alike", Holds),
        ],
        "shortcut-scale" => vec![
            (
                "through the shortcuts alone, the gradient follows the power law to a tenth of its power",
                Holds,
            ),
            ("with shortcuts scaled by 2, the gradient explodes towards the images", Holds),
            ("with shortcuts scaled by 0.5, the gradient vanishes towards the images", Fails),
        ],
        "paths" => vec![
            ("the gradient comes from paths that are shorter than the mean path", Holds),
            ("the gradient of a path falls with its length", Holds),
        ],
        "euler" => vec![("finer steps change the error less than coarser ones", Holds)],
        "augmentation" => vec![
            ("much colour jitter raises the test error", Holds),
            ("augmentation narrows the gap between training and test", Holds),
        ],
        _ => vec![],
    }
}
