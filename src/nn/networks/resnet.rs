//! The residual networks of He et al. (2015), "Deep residual learning for image recognition", in the sizes for
//! ImageNet. The sizes of planes are those of images of 224x224 pixels.
//!
//! ```text
//! conv1    conv 7x7, 3 -> 64, stride 2, batch norm, ReLU     112 x 112
//! maxpool  3x3, stride 2                                      56 x 56
//! layer1   n1 blocks of  64 planes                            56 x 56
//! layer2   n2 blocks of 128 planes                            28 x 28
//! layer3   n3 blocks of 256 planes                            14 x 14
//! layer4   n4 blocks of 512 planes                             7 x 7
//! fc       mean over the plane, linear -> classes
//!
//! basic block        conv 3x3, BN, ReLU, conv 3x3, BN, + shortcut, ReLU
//! bottleneck block   conv 1x1, BN, ReLU, conv 3x3, BN, ReLU, conv 1x1 to 4 x planes, BN, + shortcut, ReLU
//! ```
//!
//! ResNet-18 and -34 have basic blocks, ResNet-50, -101 and -152 bottleneck blocks. The first block of the stages 2 to 4
//! has stride 2, on its (first) 3x3 convolution: the paper's bottleneck has it on the first 1x1 convolution, and all
//! current implementations moved it, because a 1x1 convolution with stride 2 ignores three quarters of its input. Where
//! the shape changes, the shortcut is a 1x1 convolution with a batch norm, the paper's option B.
//!
//! [`ResNet`] has a field for everything in which the networks of this line differ: ResNet-C and -D (in this file),
//! the ResNets for CIFAR (`resnet_cifar.rs`), Wide ResNet (`wide_resnet.rs`), ResNeXt (`resnext.rs`) and Res2Net
//! (`res2net.rs`). Names are those of torchvision and timm.

use super::parts::{self, conv_bn, pointwise};
use super::stages::{Names, Place, Shortcut, Stem, changes_shape, places};
use super::{Family, Heads, Network, Sizes};
use crate::nn::layers::{self, BatchNorm, Conv, Init, Linear};
use crate::tape::{Tape, ValueId};

/// ResNet-18 to -152, the variants C and D of He et al. (2018), and versions of ResNet-18 to -50 for small images.
pub static FAMILY: Family = Family {
    names: &[
        "resnet18",
        "resnet34",
        "resnet50",
        "resnet101",
        "resnet152",
        "resnet50c",
        "resnet18d",
        "resnet34d",
        "resnet50d",
        "resnet101d",
        "resnet152d",
        "resnet18-cifar",
        "resnet34-cifar",
        "resnet50-cifar",
    ],
    pattern: None,
    find: |name| ResNet::named(name).map(|network| Box::new(network) as Box<dyn Network>),
};

/// A residual network: a stem, stages of blocks that end in an addition and a ReLU, the mean over the plane, and a
/// linear layer.
#[derive(Clone, Debug)]
pub struct ResNet {
    /// The network's name.
    pub name: String,
    /// A line that describes the network.
    pub description: String,
    /// Shape of the images for which the network was published, `[H, W, C]`.
    pub image: [usize; 3],
    /// Default number of channels of the first layer, which is also the number of planes of the first stage.
    pub width: usize,
    /// The stem.
    pub stem: Stem,
    /// Function that records a block: [`basic`], [`bottleneck`] or [`res2net::bottleneck`](super::res2net::bottleneck).
    pub block: RecordBlock,
    /// Number of output channels of a block, per plane.
    pub expansion: usize,
    /// Number of blocks of each stage.
    pub depths: Vec<usize>,
    /// Number of groups of the 3x3 convolution in a bottleneck.
    pub groups: usize,
    /// Number of channels of a group in a bottleneck of 64 planes.
    pub base_width: usize,
    /// Number of slices of the channels in a Res2Net block.
    pub scale: usize,
    /// The shortcut where the shape changes.
    pub shortcut: Shortcut,
    /// The end of the residual branch.
    pub join: Join,
    /// Names of the layers.
    pub names: Names,
    /// Distribution of the initial weights of convolutions.
    pub init: Init,
    /// The linear layer at the end.
    pub head: Linear,
    /// Initial weight of the last batch norm of a block. With 0, a block begins as the identity.
    pub last_weight: f32,
}

/// A function that records a block of a [`ResNet`].
pub type RecordBlock = fn(&ResNet, &mut Tape, &str, ValueId, Place) -> ValueId;

/// The end of a block, which combines the residual branch y with the shortcut s.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Join {
    /// The sum y + s.
    Add,
    /// The residual branch alone: a network without shortcuts, the paper's "plain" network.
    Plain,
    /// A 1x1 convolution of the concatenation of y and s, to as many channels as y. With the weights [I I] it is the
    /// sum.
    Concat,
}

impl ResNet {
    /// Returns the network of this file with this name.
    pub fn named(name: &str) -> Option<Self> {
        let (base, variant) = match name.strip_suffix("-cifar") {
            Some(base) => (base, Variant::Cifar),
            None => match name.strip_suffix(['c', 'd']) {
                Some(base) if name.ends_with('c') => (base, Variant::C),
                Some(base) => (base, Variant::D),
                None => (name, Variant::Plain),
            },
        };
        let number = base.strip_prefix("resnet")?;
        let of_he = "(He et al. 2015)";
        let (block, expansion, depths): (RecordBlock, _, _) = match number {
            "18" => (basic, 1, [2, 2, 2, 2]),
            "34" => (basic, 1, [3, 4, 6, 3]),
            "50" => (bottleneck, 4, [3, 4, 6, 3]),
            "101" => (bottleneck, 4, [3, 4, 23, 3]),
            "152" => (bottleneck, 4, [3, 8, 36, 3]),
            _ => return None,
        };
        let network = Self {
            name: name.to_string(),
            description: format!("{number} layers, for ImageNet {of_he}"),
            block,
            expansion,
            depths: depths.to_vec(),
            ..Self::default()
        };
        Some(match variant {
            Variant::Plain => network,
            Variant::C if number == "50" => Self {
                description: format!(
                    "{base} with a stem of three 3x3 convolutions (He et al. 2018)"
                ),
                stem: Stem::Deep,
                last_weight: 0.0,
                ..network
            },
            Variant::C => return None,
            Variant::D => Self {
                description: format!(
                    "{base} with a deep stem, and pools in the shortcuts (He et al. 2018)"
                ),
                stem: Stem::Deep,
                shortcut: Shortcut::AveragePool,
                names: Names::AVERAGE_POOL,
                last_weight: 0.0,
                ..network
            },
            Variant::Cifar => Self {
                description: format!("{base} with a 3x3 stem without pool, for CIFAR"),
                image: [32, 32, 3],
                stem: Stem::Small,
                names: Names::CIFAR,
                init: Init::Uniform,
                ..network
            },
        })
    }

    /// Records a layer of the block `name`, a convolution and a batch norm; `ix` is its number, from 0. `is_last` is
    /// true for the last layer of the residual branch.
    pub fn layer(
        &self,
        tape: &mut Tape,
        name: &str,
        (ix, is_last): (usize, bool),
        x: ValueId,
        out_channels: usize,
        conv: Conv,
    ) -> ValueId {
        let [conv_name, bn_name] = self.names.layers[ix].map(|layer| format!("{name}.{layer}"));
        let initial_weight = if is_last { self.last_weight } else { 1.0 };
        let bn = BatchNorm { initial_weight, ..BatchNorm::default() };
        let conv = Conv { init: self.init, ..conv };
        parts::conv_bn_with(tape, [&conv_name, &bn_name], x, out_channels, conv, bn)
    }

    /// Records the end of the block `name`: y, the output of the residual branch, joined with the shortcut of the
    /// block's input x; then the ReLU `relu`.
    pub fn join(
        &self,
        tape: &mut Tape,
        name: &str,
        relu: &str,
        [y, x]: [ValueId; 2],
        stride: usize,
    ) -> ValueId {
        let channels = tape.shape(y)[3];
        let y = match self.join {
            Join::Plain => y,
            Join::Add => {
                let shortcut = self.shortcut(tape, name, x, channels, stride);
                layers::add(tape, name, y, shortcut)
            }
            Join::Concat => {
                let shortcut = self.shortcut(tape, name, x, channels, stride);
                let both = layers::concat(tape, &format!("{name}.concat"), &[y, shortcut]);
                let merge = pointwise(1, self.init);
                layers::conv2d(tape, &format!("{name}.merge"), both, channels, merge)
            }
        };
        layers::relu(tape, &format!("{name}.{relu}"), y)
    }

    /// Records the shortcut of the block `name`: x itself, or the network's [`Shortcut`] where the shape changes.
    fn shortcut(
        &self,
        tape: &mut Tape,
        name: &str,
        x: ValueId,
        out_channels: usize,
        stride: usize,
    ) -> ValueId {
        if !changes_shape(tape, x, out_channels, stride) {
            return x;
        }
        let [conv, bn] = self.names.shortcut.map(|layer| format!("{name}.{layer}"));
        let scope = format!("{name}.shortcut");
        self.shortcut.record(tape, &scope, x, out_channels, stride, |tape, x, stride| {
            conv_bn(tape, [&conv, &bn], x, out_channels, pointwise(stride, self.init))
        })
    }

    /// Returns the number of channels of the 3x3 convolutions in a bottleneck of `planes` planes, all groups together.
    pub fn inner_channels(&self, planes: usize) -> usize {
        (planes * self.base_width / 64).max(1) * self.groups
    }
}

/// The variants of a ResNet in this file.
enum Variant {
    Plain,
    C,
    D,
    Cifar,
}

impl Default for ResNet {
    /// Returns a ResNet-50 for ImageNet as torchvision has it.
    fn default() -> Self {
        Self {
            name: "resnet50".to_string(),
            description: String::new(),
            image: [224, 224, 3],
            width: 64,
            stem: Stem::Large,
            block: bottleneck,
            expansion: 4,
            depths: vec![3, 4, 6, 3],
            groups: 1,
            base_width: 64,
            scale: 1,
            shortcut: Shortcut::Projection,
            join: Join::Add,
            names: Names::TORCHVISION,
            init: Init::KaimingNormalFanOut,
            head: Linear { bias: true, ..Linear::default() },
            last_weight: 1.0,
        }
    }
}

impl Network for ResNet {
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

    fn record(&self, tape: &mut Tape, x: ValueId, sizes: Sizes) -> Heads {
        let mut x = self.stem.record(tape, &self.names, x, sizes.width, self.init);
        for at in places(&self.depths, sizes.width) {
            x = (self.block)(self, tape, &(self.names.block)(at.stage, at.ix), x, at);
        }
        parts::head(tape, self.names.head, x, sizes.classes, self.head).into()
    }
}

/// Records a basic block, `[N, H, W, Ci]` to `[N, H/stride, W/stride, planes]`: two 3x3 convolutions.
pub fn basic(network: &ResNet, tape: &mut Tape, name: &str, x: ValueId, at: Place) -> ValueId {
    let conv = Conv::square(3, at.stride, 1);
    let y = network.layer(tape, name, (0, false), x, at.planes, conv);
    let y = layers::relu(tape, &format!("{name}.relu1"), y);
    let y = network.layer(tape, name, (1, true), y, at.planes, Conv::default());
    network.join(tape, name, "relu2", [y, x], at.stride)
}

/// Records a bottleneck block, `[N, H, W, Ci]` to `[N, H/stride, W/stride, expansion * planes]`: a 3x3 convolution
/// between two 1x1 convolutions, the first of which reduces the channels.
pub fn bottleneck(network: &ResNet, tape: &mut Tape, name: &str, x: ValueId, at: Place) -> ValueId {
    let inner = network.inner_channels(at.planes);
    let y = network.layer(tape, name, (0, false), x, inner, pointwise(1, network.init));
    let y = layers::relu(tape, &format!("{name}.relu1"), y);
    let conv = Conv { groups: network.groups, ..Conv::square(3, at.stride, 1) };
    let y = network.layer(tape, name, (1, false), y, inner, conv);
    let y = layers::relu(tape, &format!("{name}.relu2"), y);
    let out_channels = network.expansion * at.planes;
    let y = network.layer(tape, name, (2, true), y, out_channels, pointwise(1, network.init));
    network.join(tape, name, "relu3", [y, x], at.stride)
}
