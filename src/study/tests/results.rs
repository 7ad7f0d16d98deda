//! The verdicts of the studies at their default size, with seed 0, on the 6,000 images of CIFAR-10 that the lessons' text
//! shows.

use crate::study::lab::Verdict::{self, Fails, Holds, Open};

/// The claims of the study of bottlenecks. The times, the last claim of each half, were those of two cores of a CPU.
const BOTTLENECK: [&str; 8] = [
    "a bottleneck network with as many channels has fewer parameters than a basic one of equal depth",
    "a bottleneck network with as many channels needs fewer operations than a basic one of equal depth",
    "a bottleneck network with as many channels takes less memory than a basic one of equal depth",
    "a bottleneck network with as many channels takes less time than a basic one of equal depth",
    "a bottleneck network with four times the channels has fewer parameters than a basic one of equal depth",
    "a bottleneck network with four times the channels needs fewer operations than a basic one of equal depth",
    "a bottleneck network with four times the channels takes less memory than a basic one of equal depth",
    "a bottleneck network with four times the channels takes less time than a basic one of equal depth",
];

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
        "lesion" => vec![
            ("a residual network survives a lost block", Holds),
            ("a plain network does not survive a lost block", Holds),
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
            ("for its own task, the last features are better than earlier ones", Open),
            ("for other classes, earlier features are better than the last ones", Open),
            ("for turned images, earlier features are better than the last ones", Open),
            (
                "for its own task, a copy of all layers but the last is better than earlier cuts",
                Open,
            ),
            (
                "for other classes, a copy of fewer layers is better than one of all but the last",
                Open,
            ),
        ],
        "views" => vec![
            ("deep units respond to classes, and units of the stem less so", Open),
            (
                "gradient ascent makes images that excite a channel more than all test images do",
                Open,
            ),
        ],
        "shortcut-kind" => vec![
            ("a shortcut without parameters is enough", Holds),
            ("a shortcut is needed where the shape changes", Open),
            ("a 1x1 convolution with stride 2 ignores part of the pixels", Holds),
        ],
        "bottleneck" => {
            let narrow = [Holds; 4];
            let wide = [Holds, Holds, Fails, Fails];
            BOTTLENECK.into_iter().zip(narrow.into_iter().chain(wide)).collect()
        }
        "add-or-concat" => vec![
            ("concatenation gives a lower error than addition", Open),
            ("concatenation that begins as the sum gives a lower error than addition", Open),
            ("concatenation takes more memory than addition", Holds),
            ("concatenation takes more time than addition", Holds),
        ],
        "batch-norm" => vec![
            ("batch norm lowers the loss for longer steps before training", Open),
            ("batch norm keeps the gradient's direction longer before training", Open),
            ("batch norm lowers the loss for longer steps after training", Open),
            ("batch norm keeps the gradient's direction longer after training", Holds),
            ("batch norm tolerates higher learning rates", Holds),
            ("the statistics of small batches cost accuracy", Holds),
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
        "augmentation" => vec![
            ("crop lowers the test error", Open),
            ("flip lowers the test error", Open),
            ("cutout lowers the test error", Open),
            ("a little colour jitter (jitter 0.1) lowers the test error", Open),
            ("a little colour jitter (jitter 0.2) lowers the test error", Holds),
            ("much colour jitter raises the test error", Holds),
            ("augmentation narrows the gap between training and test", Holds),
        ],
        _ => vec![],
    }
}
