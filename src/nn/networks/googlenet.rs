//! GoogLeNet (Szegedy et al. 2014, "Going deeper with convolutions"), as torchvision has it. The sizes are those of
//! images of 224x224 pixels.
//!
//! ```text
//! conv1              7x7, 3 -> 64, stride 2; max pool 3x3 with stride 2      56 x 56
//! conv2, conv3       1x1 to 64, 3x3 to 192; max pool 3x3 with stride 2       28 x 28
//! inception3a, 3b    to 256, 480; max pool 3x3 with stride 2                 14 x 14
//! inception4a - 4e   to 512, 512, 512, 528, 832; max pool 2x2                 7 x 7
//! inception5a, 5b    to 832, 1024                                             7 x 7
//! fc                 mean over the plane, dropout 0.2, linear -> classes
//!
//! module     x ─┬─ 1x1 ───────────────┐
//!               ├─ 1x1 ─ 3x3 ─────────┤ concatenate
//!               ├─ 1x1 ─ 3x3 ─────────┤
//!               └─ max pool 3x3 ─ 1x1 ┘
//! ```
//!
//! Each convolution has a batch norm (with eps 0.001) and a ReLU. A module looks at its input with several kernels and
//! concatenates the results, where a residual block adds. The paper has a 5x5 convolution in the third branch;
//! torchvision has a 3x3 one, and its weights belong to that. The max pools round the size of their output up.
//!
//! Two auxiliary heads, after inception4a and 4d, train the first layers of the network: their losses count 0.3 each.
//! Evaluation does not run them.

use super::parts::{self, scaled};
use super::{Family, Heads, ImageRule, Network, Sizes};
use crate::nn::layers::{self, BatchNorm, Conv, Init, Linear};
use crate::ops::{Pool, Window};
use crate::tape::{Tape, ValueId};

/// GoogLeNet.
pub static FAMILY: Family = Family { names: &["googlenet"], pattern: None, find };

fn find(name: &str) -> Option<Box<dyn Network>> {
    (name == "googlenet").then(|| Box::new(GoogLeNet::default()) as Box<dyn Network>)
}

/// The network.
#[derive(Clone, Copy, Debug)]
pub struct GoogLeNet {
    /// Probability of dropout before the last layer.
    pub dropout: f32,
    /// Probability of dropout in the auxiliary heads.
    pub auxiliary_dropout: f32,
}

impl Default for GoogLeNet {
    /// Returns the network with torchvision's dropout.
    fn default() -> Self {
        Self { dropout: 0.2, auxiliary_dropout: 0.7 }
    }
}

/// Number of channels of the first layer in the published network.
const WIDTH: usize = 64;

/// The factor of the loss of each auxiliary head.
const AUXILIARY: f32 = 0.3;

/// Distribution of the initial weights.
const INIT: Init = Init::Normal { standard_deviation: 0.01 };

/// The names of the modules with their numbers of channels: 1x1; 1x1 and 3x3 of the second branch; 1x1 and 3x3 of the
/// third branch; 1x1 after the pool.
pub const MODULES: [(&str, [usize; 6]); 9] = [
    ("inception3a", [64, 96, 128, 16, 32, 32]),
    ("inception3b", [128, 128, 192, 32, 96, 64]),
    ("inception4a", [192, 96, 208, 16, 48, 64]),
    ("inception4b", [160, 112, 224, 24, 64, 64]),
    ("inception4c", [128, 128, 256, 24, 64, 64]),
    ("inception4d", [112, 144, 288, 32, 64, 64]),
    ("inception4e", [256, 160, 320, 32, 128, 128]),
    ("inception5a", [256, 160, 320, 32, 128, 128]),
    ("inception5b", [384, 192, 384, 48, 128, 128]),
];

/// Records a convolution, a batch norm and a ReLU: the layers `name.conv` and `name.bn`.
pub(super) fn conv_bn_relu(
    tape: &mut Tape,
    name: &str,
    x: ValueId,
    out_channels: usize,
    conv: Conv,
) -> ValueId {
    let names = [format!("{name}.conv"), format!("{name}.bn")];
    let bn = BatchNorm { eps: 1e-3, ..BatchNorm::default() };
    let x = parts::conv_bn_with(tape, [&names[0], &names[1]], x, out_channels, conv, bn);
    layers::relu(tape, &format!("{name}.relu"), x)
}

/// Records a module: x `[N, H, W, C]` to `[N, H, W, c0 + c2 + c4 + c5]`, where c are the numbers of channels in the order
/// of [`MODULES`].
pub fn module(tape: &mut Tape, name: &str, x: ValueId, channels: [usize; 6]) -> ValueId {
    let of = |part: &str| format!("{name}.{part}");
    let (conv1x1, conv3x3) = (parts::pointwise(1, INIT), Conv { init: INIT, ..Conv::default() });
    let branch1 = conv_bn_relu(tape, &of("branch1"), x, channels[0], conv1x1);
    let y = conv_bn_relu(tape, &of("branch2.0"), x, channels[1], conv1x1);
    let branch2 = conv_bn_relu(tape, &of("branch2.1"), y, channels[2], conv3x3);
    let y = conv_bn_relu(tape, &of("branch3.0"), x, channels[3], conv1x1);
    let branch3 = conv_bn_relu(tape, &of("branch3.1"), y, channels[4], conv3x3);
    let y = layers::max_pool2d(tape, &of("branch4.0"), x, Window::square(3, 1, 1));
    let branch4 = conv_bn_relu(tape, &of("branch4.1"), y, channels[5], conv1x1);
    layers::concat(tape, &of("concat"), &[branch1, branch2, branch3, branch4])
}

/// Records an auxiliary head on x, `[N, H, W, C]`: the mean over each of 4x4 parts of the plane, a 1x1 convolution, two
/// linear layers with dropout between them, whose probability is `dropout`.
pub fn auxiliary_head(
    tape: &mut Tape,
    name: &str,
    x: ValueId,
    Sizes { width, classes, .. }: Sizes,
    dropout: f32,
) -> ValueId {
    let of = |part: &str| format!("{name}.{part}");
    let linear = Linear { bias: true, init: INIT, ..Linear::default() };
    let x = layers::adaptive_avg_pool2d(tape, &of("pool"), x, [4, 4]);
    let channels = scaled(128, width, WIDTH);
    let x = conv_bn_relu(tape, &of("conv"), x, channels, parts::pointwise(1, INIT));
    let x = layers::flatten(tape, &of("flatten"), x);
    let x = layers::linear_with(tape, &of("fc1"), x, scaled(1024, width, WIDTH), linear);
    let x = layers::relu(tape, &of("relu"), x);
    let x = layers::dropout(tape, &of("dropout"), x, dropout);
    layers::linear_with(tape, &of("fc2"), x, classes, linear)
}

/// Records a max pool with stride 2 that rounds the size of its output up.
fn pool(tape: &mut Tape, name: &str, x: ValueId, kernel_size: usize) -> ValueId {
    let pool = Pool { ceil_mode: true, ..Window::square(kernel_size, 2, 0).into() };
    layers::max_pool2d(tape, name, x, pool)
}

impl Network for GoogLeNet {
    fn name(&self) -> &str {
        "googlenet"
    }

    fn description(&self) -> &str {
        "modules of parallel convolutions, for ImageNet (Szegedy et al. 2014)"
    }

    fn default_width(&self) -> usize {
        WIDTH
    }

    fn default_image(&self) -> [usize; 3] {
        [224, 224, 3]
    }

    fn image_rule(&self) -> ImageRule {
        // The third pool has a window of 3x3, and its input has at least 2x2 pixels.
        ImageRule { smallest: 15, multiple_of: 1 }
    }

    fn stem(&self) -> String {
        "conv1.conv.weight".to_string()
    }

    fn head(&self) -> String {
        "fc.weight".to_string()
    }

    fn auxiliary_prefixes(&self) -> &'static [&'static str] {
        &["aux1.", "aux2."]
    }

    fn record(&self, tape: &mut Tape, x: ValueId, sizes: Sizes) -> Heads {
        let channels = |n| scaled(n, sizes.width, WIDTH);
        let large = Conv { init: INIT, ..Conv::square(7, 2, 3) };
        let x = conv_bn_relu(tape, "conv1", x, channels(64), large);
        let x = pool(tape, "maxpool1", x, 3);
        let x = conv_bn_relu(tape, "conv2", x, channels(64), parts::pointwise(1, INIT));
        let conv3x3 = Conv { init: INIT, ..Conv::default() };
        let x = conv_bn_relu(tape, "conv3", x, channels(192), conv3x3);
        let mut x = pool(tape, "maxpool2", x, 3);
        let mut auxiliary = Vec::new();
        for (name, n_channels) in MODULES {
            x = module(tape, name, x, n_channels.map(channels));
            let head = match name {
                "inception4a" => Some("aux1"),
                "inception4d" => Some("aux2"),
                _ => None,
            };
            if let (Some(head), true) = (head, sizes.auxiliary) {
                auxiliary.push((
                    auxiliary_head(tape, head, x, sizes, self.auxiliary_dropout),
                    AUXILIARY,
                ));
            }
            x = match name {
                "inception3b" => pool(tape, "maxpool3", x, 3),
                "inception4e" => pool(tape, "maxpool4", x, 2),
                _ => x,
            };
        }
        let x = layers::global_avg_pool2d(tape, "pool", x);
        let x = layers::flatten(tape, "flatten", x);
        let x = layers::dropout(tape, "dropout", x, self.dropout);
        let linear = Linear { bias: true, init: INIT, ..Linear::default() };
        let logits = layers::linear_with(tape, "fc", x, sizes.classes, linear);
        Heads { logits, auxiliary }
    }
}
