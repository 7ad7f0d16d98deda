//! Residual networks with pre-activation: He et al. (2016), "Identity mappings in deep residual networks". The sizes
//! are those of the networks for CIFAR.
//!
//! ```text
//! conv1    conv 3 -> 16                                       32 x 32
//! layer1   n blocks                                           32 x 32
//! layer2   n blocks                                           16 x 16
//! layer3   n blocks                                            8 x 8
//! linear   BN, ReLU, mean over the plane, linear -> classes
//!
//! basic block        BN, ReLU, conv 3x3, BN, ReLU, conv 3x3, + shortcut
//! bottleneck block   BN, ReLU, conv 1x1, BN, ReLU, conv 3x3, BN, ReLU, conv 1x1, + shortcut
//! ```
//!
//! Batch norm and ReLU stand before each convolution, and nothing follows the addition. So the sum of all blocks
//! reaches every block unchanged, in the forward and in the backward pass; a block of `resnet.rs` applies a ReLU to the
//! sum. Networks of a thousand layers then train. Where the shape changes, the shortcut reads the output of the block's
//! first ReLU.
//!
//! The networks `preact20` to `preact110` (6n + 2 layers) have basic blocks and shortcuts without parameters;
//! `preact164` and `preact1001` (9n + 2 layers) have bottlenecks and 1x1 convolutions as shortcuts.
//!
//! [`PreActivation`] has a field for everything in which the networks of this line differ: timm's networks for ImageNet
//! (`resnet_v2.rs`) and Wide ResNet (`wide_resnet.rs`).

use super::parts::{self, bn_relu, pointwise};
use super::resnet_cifar::blocks_of;
use super::stages::{Names, Shortcut, Stem, StemNames, changes_shape, places};
use super::{Family, Heads, Network, Sizes};
use crate::nn::layers::{self, Conv, Init, Linear};
use crate::tape::{Tape, ValueId};

/// The networks for CIFAR.
pub static FAMILY: Family = Family {
    names: &[
        "preact20",
        "preact32",
        "preact44",
        "preact56",
        "preact110",
        "preact164",
        "preact1001",
    ],
    pattern: Some("preactN (N = 6n + 2 below 164; N = 9n + 2 from 164)"),
    find: |name| named(name).map(|network| Box::new(network) as Box<dyn Network>),
};

/// A residual network with pre-activation: a stem without batch norm, stages of blocks that end in an addition, a batch
/// norm and a ReLU, the mean over the plane, and a linear layer.
#[derive(Clone, Debug)]
pub struct PreActivation {
    /// The network's name.
    pub name: String,
    /// A line that describes the network.
    pub description: String,
    /// Shape of the images for which the network was published, `[H, W, C]`.
    pub image: [usize; 3],
    /// Default number of channels of the stem.
    pub width: usize,
    /// The stem.
    pub stem: Stem,
    /// The convolutions of a block.
    pub block: Block,
    /// Number of blocks of each stage.
    pub depths: Vec<usize>,
    /// Number of output channels of the first stage's blocks, divided by the number of channels of the stem. Each
    /// further stage has twice as many channels as the one before.
    pub factor: usize,
    /// The shortcut where the shape changes.
    pub shortcut: Shortcut,
    /// Probability with which dropout sets an element to 0 before a block's last convolution; 0 for no dropout.
    pub dropout: f32,
    /// Names of the layers.
    pub names: Names,
    /// The linear layer at the end.
    pub head: Linear,
    /// True if the layer at the end is a 1x1 convolution in files, whose weight has the shape `[classes, C, 1, 1]`.
    pub head_is_convolution: bool,
}

/// Distribution of the initial weights of all convolutions.
const INIT: Init = Init::KaimingNormalFanOut;

/// The convolutions of a block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Block {
    /// Two 3x3 convolutions. The first has the stride.
    Basic,
    /// 1x1 to a quarter of the channels, 3x3, 1x1. The first has the stride, as the paper has it.
    Bottleneck,
    /// [`Block::Bottleneck`] with the stride on the 3x3 convolution, as timm has it.
    Strided3x3,
}

/// The names of the networks for CIFAR.
const CIFAR: Names = Names { stem: &[StemNames::alone("conv1")], ..Names::CIFAR };

impl Default for PreActivation {
    /// Returns the network of 20 layers for CIFAR.
    fn default() -> Self {
        Self {
            name: "preact20".to_string(),
            description: String::new(),
            image: [32, 32, 3],
            width: 16,
            stem: Stem::Small,
            block: Block::Basic,
            depths: vec![3; 3],
            factor: 1,
            shortcut: Shortcut::Padded,
            dropout: 0.0,
            names: CIFAR,
            head: Linear { bias: true, ..Linear::default() },
            head_is_convolution: false,
        }
    }
}

/// Returns the network of this file with this name.
pub fn named(name: &str) -> Option<PreActivation> {
    let number = name.strip_prefix("preact")?;
    let network = PreActivation { name: name.to_string(), ..PreActivation::default() };
    let of_he = "for CIFAR, with pre-activation (He et al. 2016)";
    // The paper's networks of 110 layers and fewer have basic blocks.
    let is_deep = number.parse::<usize>().is_ok_and(|number| number >= 164);
    Some(if is_deep {
        PreActivation {
            description: format!("{number} layers {of_he}, in bottlenecks"),
            block: Block::Bottleneck,
            depths: vec![blocks_of(number, 9)?; 3],
            factor: 4,
            shortcut: Shortcut::Projection,
            ..network
        }
    } else {
        PreActivation {
            description: format!("{number} layers {of_he}"),
            depths: vec![blocks_of(number, 6)?; 3],
            ..network
        }
    })
}

impl PreActivation {
    /// Records the block `name`, `[N, H, W, Ci]` to `[N, H/stride, W/stride, out_channels]`.
    pub fn record_block(
        &self,
        tape: &mut Tape,
        name: &str,
        x: ValueId,
        out_channels: usize,
        stride: usize,
    ) -> ValueId {
        let conv3x3 = Conv { init: INIT, ..Conv::default() };
        let strided = Conv { init: INIT, ..Conv::square(3, stride, 1) };
        let inner = (out_channels / 4).max(1);
        let convs: &[(usize, Conv)] = match self.block {
            Block::Basic => &[(out_channels, strided), (out_channels, conv3x3)],
            Block::Bottleneck => &[
                (inner, pointwise(stride, INIT)),
                (inner, conv3x3),
                (out_channels, pointwise(1, INIT)),
            ],
            Block::Strided3x3 => {
                &[(inner, pointwise(1, INIT)), (inner, strided), (out_channels, pointwise(1, INIT))]
            }
        };
        let (mut y, mut activated) = (x, x);
        for (ix, &(channels, conv)) in convs.iter().enumerate() {
            let [conv_name, bn] = self.names.layers[ix].map(|layer| format!("{name}.{layer}"));
            y = bn_relu(tape, &bn, y);
            if ix == 0 {
                activated = y;
            }
            if ix == convs.len() - 1 {
                y = layers::dropout(tape, &format!("{name}.dropout"), y, self.dropout);
            }
            y = layers::conv2d(tape, &conv_name, y, channels, conv);
        }
        let shortcut = match changes_shape(tape, x, out_channels, stride) {
            true => self.record_shortcut(tape, name, activated, out_channels, stride),
            false => x,
        };
        layers::add(tape, name, y, shortcut)
    }

    fn record_shortcut(
        &self,
        tape: &mut Tape,
        name: &str,
        x: ValueId,
        out_channels: usize,
        stride: usize,
    ) -> ValueId {
        let conv = format!("{name}.{}", self.names.shortcut[0]);
        let scope = format!("{name}.shortcut");
        self.shortcut.record(tape, &scope, x, out_channels, stride, |tape, x, stride| {
            layers::conv2d(tape, &conv, x, out_channels, pointwise(stride, INIT))
        })
    }
}

impl Network for PreActivation {
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
        self.image
    }

    fn stem(&self) -> String {
        self.names.stem_weight(self.stem)
    }

    fn head(&self) -> String {
        format!("{}.weight", self.names.head)
    }

    fn record(&self, tape: &mut Tape, x: ValueId, Sizes { width, classes, .. }: Sizes) -> Heads {
        let mut x = self.stem.record(tape, &self.names, x, width, INIT);
        for at in places(&self.depths, width * self.factor) {
            let name = (self.names.block)(at.stage, at.ix);
            x = self.record_block(tape, &name, x, at.planes, at.stride);
        }
        let x = bn_relu(tape, self.names.last_bn, x);
        if !self.head_is_convolution {
            return parts::head(tape, self.names.head, x, classes, self.head).into();
        }
        let x = layers::global_avg_pool2d(tape, "pool", x);
        let Linear { bias, init, zero_bias } = self.head;
        let conv = Conv { bias, zero_bias, ..pointwise(1, init) };
        let x = layers::conv2d(tape, self.names.head, x, classes, conv);
        layers::flatten(tape, "flatten", x).into()
    }
}
