//! Networks of stages: the stem, the stages of blocks, the shortcuts, and the names of the layers. The residual families
//! differ in their blocks; the rest stands here once.
//!
//! ```text
//! stem  ─  stage 0: block, block ...  ─  stage 1: block with stride 2, block ...  ─  ...  ─  head
//! ```

use super::parts;
use crate::nn::layers::{self, Conv, Init};
use crate::tape::{Tape, ValueId};

/// The beginning of a network, from the images to the first block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stem {
    /// For images of about 32x32 pixels: a 3x3 convolution to w channels.
    Small,
    /// For photographs: a 7x7 convolution with stride 2 to w channels, then a 3x3 max pool with stride 2.
    Large,
    /// [`Stem::Large`] with three 3x3 convolutions in place of the 7x7 one, to w/2, w/2 and w channels. The first has
    /// stride 2. He et al. (2018), "Bag of tricks", call it ResNet-C.
    Deep,
}

impl Stem {
    /// Records the stem, `[N, H, W, Ci]` to `[N, H, W, width]` or, for photographs, to a quarter of the rows and columns.
    pub fn record(
        self,
        tape: &mut Tape,
        names: &Names,
        mut x: ValueId,
        width: usize,
        init: Init,
    ) -> ValueId {
        let conv3x3 = Conv { init, ..Conv::default() };
        let large = Conv { init, ..Conv::square(7, 2, 3) };
        let first = Conv { init, ..Conv::square(3, 2, 1) };
        let half = width.div_ceil(2);
        let convs: &[(usize, Conv)] = match self {
            Self::Small => &[(width, conv3x3)],
            Self::Large => &[(width, large)],
            Self::Deep => &[(half, first), (half, conv3x3), (width, conv3x3)],
        };
        for (layer, &(channels, conv)) in names.stem_of(self).iter().zip(convs) {
            x = layers::conv2d(tape, layer.conv, x, channels, conv);
            if let Some([bn, relu]) = layer.bn_relu {
                x = layers::batch_norm(tape, bn, x);
                x = layers::relu(tape, relu, x);
            }
        }
        if self == Self::Small { x } else { parts::stem_pool(tape, x) }
    }
}

/// The place of a block in a network.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// Number of the stage, from 0.
    pub stage: usize,
    /// Number of the block in its stage, from 0.
    pub ix: usize,
    /// Number of planes. The paper's blocks have as many channels, or four times as many.
    pub planes: usize,
    /// Stride of the block, in rows and in columns.
    pub stride: usize,
}

/// Returns the places of all blocks, in order. `depths` are the numbers of blocks of the stages. The first stage has
/// `planes` planes and each further stage twice as many as the one before. The first block of each stage but the first has
/// stride 2.
pub fn places(depths: &[usize], planes: usize) -> impl Iterator<Item = Place> {
    depths.iter().enumerate().flat_map(move |(stage, &n_blocks)| {
        (0..n_blocks).map(move |ix| {
            let stride = if stage > 0 && ix == 0 { 2 } else { 1 };
            Place { stage, ix, planes: planes << stage, stride }
        })
    })
}

/// The shortcut of a block in which the shape changes. All other shortcuts are the identity.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shortcut {
    /// Every second row and column, with channels of zeros: option A of He et al. (2015), without parameters.
    Padded,
    /// A 1x1 convolution: option B.
    Projection,
    /// A 2x2 average pool, then a 1x1 convolution: ResNet-D. A 1x1 convolution with stride 2 ignores three quarters of
    /// its input; the average reads all of it.
    AveragePool,
}

impl Shortcut {
    /// Records the shortcut from x, `[N, H, W, Ci]`, to `[N, H/stride, W/stride, out_channels]`. `scope` is the name of the
    /// layers without parameters. `project` records the 1x1 convolution with a stride, and the batch norm behind it if
    /// the family has one.
    pub fn record(
        self,
        tape: &mut Tape,
        scope: &str,
        x: ValueId,
        out_channels: usize,
        stride: usize,
        project: impl FnOnce(&mut Tape, ValueId, usize) -> ValueId,
    ) -> ValueId {
        match self {
            Self::Padded => parts::padded_shortcut(tape, scope, x, out_channels, stride),
            Self::Projection => project(tape, x, stride),
            Self::AveragePool => {
                let x = parts::shortcut_pool(tape, scope, x, stride);
                project(tape, x, 1)
            }
        }
    }
}

/// Returns true if a block with this stride and this number of output channels changes the shape of its input x.
pub fn changes_shape(tape: &Tape, x: ValueId, out_channels: usize, stride: usize) -> bool {
    stride != 1 || tape.shape(x)[3] != out_channels
}

/// The names of a network's layers in files of weights.
#[derive(Clone, Copy, Debug)]
pub struct Names {
    /// The convolution of [`Stem::Small`] and [`Stem::Large`].
    pub stem: &'static [StemNames],
    /// The three convolutions of [`Stem::Deep`].
    pub deep_stem: &'static [StemNames],
    /// Returns the name of a block from the numbers of its stage and of the block, both from 0.
    pub block: fn(usize, usize) -> String,
    /// Convolution and batch norm of each layer of a block.
    pub layers: [[&'static str; 2]; 3],
    /// Convolution of the shortcut, and its batch norm. Networks with pre-activation have no batch norm there.
    pub shortcut: [&'static str; 2],
    /// The batch norm after the last block in networks with pre-activation.
    pub last_bn: &'static str,
    /// The layer at the end.
    pub head: &'static str,
}

/// The names of a convolution of a stem and of the layers behind it.
#[derive(Clone, Copy, Debug)]
pub struct StemNames {
    /// The convolution.
    pub conv: &'static str,
    /// The batch norm and the ReLU; None for a convolution whose output the first block normalises.
    pub bn_relu: Option<[&'static str; 2]>,
}

impl StemNames {
    /// Returns the names of a convolution, a batch norm and a ReLU.
    pub const fn with_bn(conv: &'static str, bn: &'static str, relu: &'static str) -> Self {
        Self { conv, bn_relu: Some([bn, relu]) }
    }

    /// Returns the name of a convolution without layers behind it.
    pub const fn alone(conv: &'static str) -> Self {
        Self { conv, bn_relu: None }
    }
}

impl Names {
    /// The names of torchvision: `layer1.0.conv1`, `layer2.0.downsample.0`, `fc`. Those of the deep stem are timm's.
    pub const TORCHVISION: Self = Self {
        stem: &[StemNames::with_bn("conv1", "bn1", "relu")],
        deep_stem: &[
            StemNames::with_bn("conv1.0", "conv1.1", "conv1.2"),
            StemNames::with_bn("conv1.3", "conv1.4", "conv1.5"),
            StemNames::with_bn("conv1.6", "bn1", "relu"),
        ],
        block: |stage, ix| format!("layer{}.{ix}", stage + 1),
        layers: [["conv1", "bn1"], ["conv2", "bn2"], ["conv3", "bn3"]],
        shortcut: ["downsample.0", "downsample.1"],
        last_bn: "bn",
        head: "fc",
    };

    /// The names of timm for a shortcut that begins with a pool: `layer2.0.downsample.1`.
    pub const AVERAGE_POOL: Self =
        Self { shortcut: ["downsample.1", "downsample.2"], ..Self::TORCHVISION };

    /// The names of the public implementations for CIFAR: `layer2.0.shortcut.0`, `linear`.
    pub const CIFAR: Self =
        Self { shortcut: ["shortcut.0", "shortcut.1"], head: "linear", ..Self::TORCHVISION };

    /// Returns the names of the layers of a stem.
    fn stem_of(&self, stem: Stem) -> &'static [StemNames] {
        if stem == Stem::Deep { self.deep_stem } else { self.stem }
    }

    /// Returns the name of the parameter whose number of output channels is the width: the weight of the stem's last
    /// convolution.
    pub fn stem_weight(&self, stem: Stem) -> String {
        let last = self.stem_of(stem).last().expect("a stem has a convolution");
        format!("{}.weight", last.conv)
    }
}
