//! Deep pyramidal residual networks (Han et al. 2017), additive: every block is a little wider than the one before. The
//! sizes are those of images of 32x32 pixels.
//!
//! ```text
//! conv1   conv 3 -> 16, BN                                    32 x 32
//! layer1  n blocks                                            32 x 32
//! layer2  n blocks                                            16 x 16
//! layer3  n blocks                                             8 x 8
//! fc      BN, ReLU, mean over the plane, linear -> classes
//!
//! basic block        BN, conv 3x3, BN, ReLU, conv 3x3, BN, + shortcut
//! bottleneck block   BN, conv 1x1, BN, ReLU, conv 3x3, BN, ReLU, conv 1x1 to 4 x planes, BN, + shortcut
//! ```
//!
//! Other networks double the number of channels where they halve the plane. Here block k of K has 16 + k·a/K planes,
//! rounded, so the change of shape is spread over all blocks, and no block is more important than the others. A block
//! has no ReLU before its first convolution and none after the addition. Shortcuts have no parameters: a 2x2 average
//! pool where the stride is 2, and channels of zeros after the channels of x.
//!
//! `pyramid110-a84` has 110 layers in basic blocks and a = 84; the `b` in `pyramid164b-a84` stands for bottlenecks. The
//! names of layers are those of `dyhan0920/PyramidNet-PyTorch`.

use super::parts::{self, bn_relu, conv_bn, pointwise};
use super::resnet_cifar::blocks_of;
use super::stages::places;
use super::{Family, Heads, Network, Sizes};
use crate::nn::layers::{self, Conv, Init, Linear};
use crate::tape::{Tape, ValueId};

/// The PyramidNets for CIFAR.
pub static FAMILY: Family = Family {
    names: &[
        "pyramid110-a48",
        "pyramid110-a84",
        "pyramid110-a270",
        "pyramid164b-a48",
        "pyramid164b-a84",
        "pyramid164b-a270",
        "pyramid200b-a240",
        "pyramid236b-a220",
        "pyramid272b-a200",
    ],
    pattern: Some("pyramidN-aA (N = 6n + 2), pyramidNb-aA (N = 9n + 2)"),
    find: |name| PyramidNet::named(name).map(|network| Box::new(network) as Box<dyn Network>),
};

/// A pyramidal residual network.
#[derive(Clone, Debug)]
pub struct PyramidNet {
    /// The network's name.
    pub name: String,
    /// A line that describes the network.
    pub description: String,
    /// Number of blocks of each of the three stages.
    pub depth: usize,
    /// Number of planes that all blocks together add to the stem's 16, with the default width.
    pub added: usize,
    /// True for bottleneck blocks.
    pub bottleneck: bool,
}

impl PyramidNet {
    /// Returns the network with this name.
    pub fn named(name: &str) -> Option<Self> {
        let (number, added) = name.strip_prefix("pyramid")?.split_once("-a")?;
        let (depth, bottleneck) = match number.strip_suffix('b') {
            Some(number) => (blocks_of(number, 9)?, true),
            None => (blocks_of(number, 6)?, false),
        };
        let added = added.parse::<u16>().ok().filter(|number| number.to_string() == added)?;
        let blocks = if bottleneck { "bottlenecks" } else { "basic blocks" };
        Some(Self {
            name: name.to_string(),
            description: format!(
                "{} layers for CIFAR in {blocks} that widen by {added} (Han et al. 2017)",
                number.trim_end_matches('b')
            ),
            depth,
            added: added.into(),
            bottleneck,
        })
    }

    /// Returns the number of planes of block `ix`, from 0, in a network of this width.
    pub fn planes(&self, ix: usize, width: usize) -> usize {
        let (default_width, n_blocks) = (self.default_width() as f64, (3 * self.depth) as f64);
        let planes = default_width + (ix + 1) as f64 * self.added as f64 / n_blocks;
        (planes * width as f64 / default_width + 0.5).floor() as usize
    }

    /// Records the block `name`, `[N, H, W, Ci]` to `[N, H/stride, W/stride, Co]`, where Co is `planes` for a basic
    /// block and 4 `planes` for a bottleneck.
    pub fn record_block(
        &self,
        tape: &mut Tape,
        name: &str,
        x: ValueId,
        planes: usize,
        stride: usize,
    ) -> ValueId {
        let layer = |kind: &str, ix: usize| format!("{name}.{kind}{ix}");
        let init = Init::KaimingNormalFanOut;
        let conv3x3 = Conv { init, ..Conv::default() };
        let strided = Conv { init, ..Conv::square(3, stride, 1) };
        let convs: &[(usize, Conv)] = match self.bottleneck {
            false => &[(planes, strided), (planes, conv3x3)],
            true => {
                &[(planes, pointwise(1, init)), (planes, strided), (4 * planes, pointwise(1, init))]
            }
        };
        let mut y = layers::batch_norm(tape, &layer("bn", 1), x);
        for (ix, &(channels, conv)) in (1..).zip(convs) {
            if ix > 1 {
                y = layers::relu(tape, &layer("relu", ix), y);
            }
            let names = [layer("conv", ix), layer("bn", ix + 1)];
            y = conv_bn(tape, [&names[0], &names[1]], y, channels, conv);
        }
        let shortcut = parts::shortcut_pool(tape, &format!("{name}.shortcut"), x, stride);
        let missing = tape.shape(y)[3] - tape.shape(shortcut)[3];
        let shortcut = match missing {
            0 => shortcut,
            _ => layers::channel_pad(tape, &format!("{name}.shortcut"), shortcut, 0, missing),
        };
        layers::add(tape, name, y, shortcut)
    }
}

impl Network for PyramidNet {
    fn name(&self) -> &str {
        &self.name
    }

    fn description(&self) -> &str {
        &self.description
    }

    fn default_width(&self) -> usize {
        16
    }

    fn default_image(&self) -> [usize; 3] {
        [32, 32, 3]
    }

    fn stem(&self) -> String {
        "conv1.weight".to_string()
    }

    fn head(&self) -> String {
        "fc.weight".to_string()
    }

    fn record(&self, tape: &mut Tape, x: ValueId, Sizes { width, classes, .. }: Sizes) -> Heads {
        let conv = Conv { init: Init::KaimingNormalFanOut, ..Conv::default() };
        let mut x = conv_bn(tape, ["conv1", "bn1"], x, width, conv);
        for (ix, at) in places(&[self.depth; 3], width).enumerate() {
            let name = format!("layer{}.{}", at.stage + 1, at.ix);
            x = self.record_block(tape, &name, x, self.planes(ix, width), at.stride);
        }
        let x = bn_relu(tape, "bn_final", x);
        parts::head(tape, "fc", x, classes, Linear { bias: true, ..Linear::default() }).into()
    }
}
