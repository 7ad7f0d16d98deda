//! TResNet (Ridnik et al. 2020, "TResNet: high performance GPU-dedicated architecture"), as timm has it. The sizes are
//! those of TResNet-M and images of 224x224 pixels.
//!
//! ```text
//! body.s2d     space to depth, 4x4 pixels to 48 channels              56 x 56
//! body.conv1   conv 48 -> 64, BN, leaky ReLU of slope 0.01            56 x 56
//! body.layer1  3 basic blocks of  64 planes, with attention           56 x 56
//! body.layer2  4 basic blocks of 128 planes, with attention           28 x 28
//! body.layer3  11 bottlenecks of 256 planes, with attention           14 x 14
//! body.layer4  3 bottlenecks of  512 planes                            7 x 7
//! head.fc      mean over the plane, linear -> classes
//!
//! basic block        conv 3x3, BN, leaky ReLU, (blur pool), conv 3x3, BN, (attention), + shortcut, ReLU
//! bottleneck block   conv 1x1, BN, leaky ReLU, conv 3x3, BN, leaky ReLU, (blur pool), (attention),
//!                    conv 1x1 to 4 x planes, BN, + shortcut, ReLU
//! ```
//!
//! Where a ResNet has a convolution with stride 2, TResNet has one with stride 1 and a blur pool, which does not alias.
//! The attention is squeeze-and-excitation: the mean over the plane, two 1x1 convolutions and a sigmoid make a factor
//! for each channel. The shortcuts are those of ResNet-D. The leaky ReLUs of the blocks have slope 0.001.
//!
//! Courses and lists of exercises name a network "ResNet-L" without defining it. TResNet-L is the one published network
//! with such a name; it stands here as our reading.

use super::parts::{self, pointwise};
use super::stages::{Place, Shortcut, changes_shape, places};
use super::{Family, Heads, ImageRule, Network, Sizes};
use crate::nn::layers::{self, BatchNorm, Conv, Init, Linear};
use crate::tape::{Tape, ValueId};

/// The TResNets.
pub static FAMILY: Family = Family {
    names: &["tresnet_m", "tresnet_l"],
    pattern: None,
    find: |name| TResNet::named(name).map(|network| Box::new(network) as Box<dyn Network>),
};

/// A TResNet.
#[derive(Clone, Debug)]
pub struct TResNet {
    /// The network's name.
    pub name: String,
    /// A line that describes the network.
    pub description: String,
    /// Default number of channels of the first convolution, which is also the number of planes of the first stage.
    pub width: usize,
    /// Number of blocks of each stage.
    pub depths: [usize; 4],
}

/// The slope of the leaky ReLUs in a block.
const SLOPE: f32 = 1e-3;

/// The slope of the leaky ReLU in the stem, PyTorch's default.
const STEM_SLOPE: f32 = 1e-2;

/// The smallest number of channels between the two convolutions of a squeeze-and-excitation.
const SQUEEZED: usize = 64;

impl TResNet {
    /// Returns the network with this name.
    pub fn named(name: &str) -> Option<Self> {
        let (width, depths, size) = match name {
            "tresnet_m" => (64, [3, 4, 11, 3], "M"),
            "tresnet_l" => (76, [4, 5, 18, 3], "L"),
            _ => return None,
        };
        Some(Self {
            name: name.to_string(),
            description: format!(
                "TResNet-{size}, with blur pools and channel attention (Ridnik et al. 2020)"
            ),
            width,
            depths,
        })
    }

    /// Records the block `name`, `[N, H, W, Ci]` to `[N, H/stride, W/stride, Co]`, where Co is the number of planes for
    /// a basic block and four times this number for a bottleneck. The first two stages have basic blocks, and all but
    /// the last have squeeze-and-excitation.
    pub fn record_block(&self, tape: &mut Tape, name: &str, x: ValueId, at: Place) -> ValueId {
        let of = |part: &str| format!("{name}.{part}");
        let Place { stage, planes, stride, .. } = at;
        let (bottleneck, attention) = (stage >= 2, stage < 3);
        let out_channels = if bottleneck { 4 * planes } else { planes };
        let mut shortcut = x;
        if changes_shape(tape, x, out_channels, stride) {
            // timm numbers the layers of a shortcut; a pool takes the first number.
            let name = of(if stride == 1 { "downsample.0" } else { "downsample.1" });
            let (kind, pool) = (Shortcut::AveragePool, of("downsample.0"));
            shortcut = kind.record(tape, &pool, x, out_channels, stride, |tape, x, stride| {
                conv_bn(tape, &name, x, out_channels, pointwise(stride, INIT), 1.0)
            });
        }
        let conv3x3 = Conv { init: INIT, ..Conv::default() };
        let y = if bottleneck {
            let y = conv_bn(tape, &of("conv1"), x, planes, pointwise(1, INIT), 1.0);
            let y = layers::leaky_relu(tape, &of("conv1.bn.act"), y, SLOPE);
            let y = conv_bn(tape, &of("conv2"), y, planes, conv3x3, 1.0);
            let y = layers::leaky_relu(tape, &of("conv2.bn.act"), y, SLOPE);
            let mut y = blur(tape, &of("conv2.aa"), y, stride);
            if attention {
                y = excite(tape, &of("se"), y, (out_channels / 8).max(SQUEEZED));
            }
            conv_bn(tape, &of("conv3"), y, out_channels, pointwise(1, INIT), 0.0)
        } else {
            let y = conv_bn(tape, &of("conv1"), x, planes, conv3x3, 1.0);
            let y = layers::leaky_relu(tape, &of("conv1.bn.act"), y, SLOPE);
            let y = blur(tape, &of("conv1.aa"), y, stride);
            let mut y = conv_bn(tape, &of("conv2"), y, planes, conv3x3, 0.0);
            if attention {
                y = excite(tape, &of("se"), y, (planes / 4).max(SQUEEZED));
            }
            y
        };
        let y = layers::add(tape, name, y, shortcut);
        layers::relu(tape, &of("act"), y)
    }
}

/// Distribution of the initial weights of convolutions.
const INIT: Init = Init::KaimingNormalFanOut;

/// Records the layers `name.conv` and `name.bn`. `initial_weight` is the initial weight of the batch norm.
fn conv_bn(
    tape: &mut Tape,
    name: &str,
    x: ValueId,
    out_channels: usize,
    conv: Conv,
    initial_weight: f32,
) -> ValueId {
    let names = [format!("{name}.conv"), format!("{name}.bn")];
    let bn = BatchNorm { initial_weight, ..BatchNorm::default() };
    parts::conv_bn_with(tape, [&names[0], &names[1]], x, out_channels, conv, bn)
}

/// Records a blur pool if the stride is 2.
fn blur(tape: &mut Tape, name: &str, x: ValueId, stride: usize) -> ValueId {
    if stride == 1 { x } else { layers::blur_pool(tape, name, x) }
}

/// Records squeeze-and-excitation (Hu et al. 2018): x times a factor for each image and channel. The factor is a
/// function of the channels' means, with `squeezed` channels inside.
pub fn excite(tape: &mut Tape, name: &str, x: ValueId, squeezed: usize) -> ValueId {
    let channels = tape.shape(x)[3];
    let conv = Conv { bias: true, ..pointwise(1, INIT) };
    let s = layers::global_avg_pool2d(tape, &format!("{name}.pool"), x);
    let s = layers::conv2d(tape, &format!("{name}.fc1"), s, squeezed, conv);
    let s = layers::relu(tape, &format!("{name}.act"), s);
    let s = layers::conv2d(tape, &format!("{name}.fc2"), s, channels, conv);
    let s = layers::sigmoid(tape, &format!("{name}.gate"), s);
    layers::mul(tape, name, x, s)
}

impl Network for TResNet {
    fn name(&self) -> &str {
        &self.name
    }

    fn description(&self) -> &str {
        &self.description
    }

    fn default_width(&self) -> usize {
        self.width
    }

    fn default_image(&self) -> [usize; 3] {
        [224, 224, 3]
    }

    fn image_rule(&self) -> ImageRule {
        // Space to depth takes 4x4 pixels at a time, so the first blur pool reads a plane of 5x5 pixels, the second one
        // of 3x3 and the third one of 2x2. A blur pool reflects at the border, which takes at least two rows.
        ImageRule { smallest: 20, multiple_of: 4 }
    }

    fn stem(&self) -> String {
        "body.conv1.conv.weight".to_string()
    }

    fn head(&self) -> String {
        "head.fc.weight".to_string()
    }

    fn record(&self, tape: &mut Tape, x: ValueId, Sizes { width, classes, .. }: Sizes) -> Heads {
        let x = layers::space_to_depth(tape, "body.s2d", x, 4);
        let conv = Conv { init: INIT, ..Conv::default() };
        let x = conv_bn(tape, "body.conv1", x, width, conv, 1.0);
        let mut x = layers::leaky_relu(tape, "body.conv1.bn.act", x, STEM_SLOPE);
        for at in places(&self.depths, width) {
            let name = format!("body.layer{}.{}", at.stage + 1, at.ix);
            x = self.record_block(tape, &name, x, at);
        }
        let linear = Linear {
            bias: true,
            init: Init::Normal { standard_deviation: 0.01 },
            ..Linear::default()
        };
        parts::head(tape, "head.fc", x, classes, linear).into()
    }
}
