//! Residual networks with pre-activation for ImageNet (He et al. 2016), as timm has them.
//!
//! ```text
//! stem      conv 7x7, 3 -> 64, stride 2, max pool 3x3 with stride 2    56 x 56
//! stages.0  blocks to  256 channels                                    56 x 56
//! stages.1  blocks to  512 channels                                    28 x 28
//! stages.2  blocks to 1024 channels                                    14 x 14
//! stages.3  blocks to 2048 channels                                     7 x 7
//! head      BN, ReLU, mean over the plane, 1x1 conv -> classes
//! ```
//!
//! The blocks are those of `pre_activation.rs`. timm has the stride on the 3x3 convolution of a bottleneck, and gives
//! the layer at the end the shape of a 1x1 convolution. `resnetv2_18` and `resnetv2_34` have basic blocks.
//! `resnetv2_50d` has the stem and the shortcuts of ResNet-D.

use super::pre_activation::{Block, PreActivation};
use super::stages::{Names, Shortcut, Stem, StemNames};
use super::{Family, Network};
use crate::nn::layers::{Init, Linear};

/// The networks for ImageNet.
pub static FAMILY: Family = Family {
    names: &[
        "resnetv2_18",
        "resnetv2_34",
        "resnetv2_50",
        "resnetv2_101",
        "resnetv2_152",
        "resnetv2_50d",
    ],
    pattern: None,
    find: |name| named(name).map(|network| Box::new(network) as Box<dyn Network>),
};

/// timm's names.
const NAMES: Names = Names {
    stem: &[StemNames::alone("stem.conv")],
    deep_stem: &[
        StemNames::with_bn("stem.conv1", "stem.norm1", "stem.norm1.relu"),
        StemNames::with_bn("stem.conv2", "stem.norm2", "stem.norm2.relu"),
        StemNames::alone("stem.conv3"),
    ],
    block: |stage, ix| format!("stages.{stage}.blocks.{ix}"),
    layers: [["conv1", "norm1"], ["conv2", "norm2"], ["conv3", "norm3"]],
    shortcut: ["downsample.conv", ""],
    last_bn: "norm",
    head: "head.fc",
};

/// Returns the network of this file with this name.
pub fn named(name: &str) -> Option<PreActivation> {
    let number = name.strip_prefix("resnetv2_")?;
    let (block, factor, depths) = match number {
        "18" => (Block::Basic, 1, [2, 2, 2, 2]),
        "34" => (Block::Basic, 1, [3, 4, 6, 3]),
        "50" | "50d" => (Block::Strided3x3, 4, [3, 4, 6, 3]),
        "101" => (Block::Strided3x3, 4, [3, 4, 23, 3]),
        "152" => (Block::Strided3x3, 4, [3, 8, 36, 3]),
        _ => return None,
    };
    let network = PreActivation {
        name: name.to_string(),
        description: format!("ResNet-{number} with pre-activation (He et al. 2016)"),
        image: [224, 224, 3],
        width: 64,
        stem: Stem::Large,
        block,
        depths: depths.to_vec(),
        factor,
        shortcut: Shortcut::Projection,
        names: NAMES,
        head: Linear {
            bias: true,
            init: Init::Normal { standard_deviation: 0.01 },
            zero_bias: true,
        },
        head_is_convolution: true,
        ..PreActivation::default()
    };
    Some(match number {
        "50d" => PreActivation { stem: Stem::Deep, shortcut: Shortcut::AveragePool, ..network },
        _ => network,
    })
}
