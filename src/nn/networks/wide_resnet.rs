//! Wide residual networks (Zagoruyko and Komodakis 2016): fewer layers than a ResNet, with more channels.
//!
//! ```text
//! WRN-d-k for CIFAR     conv 3 -> 16; three stages of (d - 4) / 6 blocks
//!                       of 16k, 32k and 64k channels; BN, ReLU, mean, linear
//! block                 BN, ReLU, conv 3x3, BN, ReLU, (dropout), conv 3x3, + shortcut
//! ```
//!
//! The blocks are the basic blocks of `pre_activation.rs`, with a 1x1 convolution as shortcut where the shape changes.
//! WRN-28-10 has half the layers of ResNet-56 and 43 times its parameters. It classifies better than the networks of a
//! thousand layers, and trains faster, because a GPU computes wide layers at a higher rate. The names are
//! those of `xternalz/WideResNet-pytorch`.
//!
//! `wide_resnet50_2` and `wide_resnet101_2` for ImageNet are torchvision's: ResNet-50 and -101 with twice the channels
//! in the 3x3 convolutions.

use super::pre_activation::PreActivation;
use super::resnet::ResNet;
use super::stages::{Names, Shortcut, StemNames};
use super::{Family, Network};
use crate::nn::layers::Linear;

/// The Wide ResNets for CIFAR and for ImageNet.
pub static FAMILY: Family = Family {
    names: &[
        "wide_resnet50_2",
        "wide_resnet101_2",
        "wrn-16-4",
        "wrn-22-8",
        "wrn-28-10",
        "wrn-40-2",
        "wrn-40-4",
        "wrn-28-10-dropout",
    ],
    pattern: Some("wrn-D-K, wrn-D-K-dropout (D = 6n + 4)"),
    find: |name| match for_imagenet(name) {
        Some(network) => Some(Box::new(network)),
        None => named(name).map(|network| Box::new(network) as Box<dyn Network>),
    },
};

/// The names of `xternalz/WideResNet-pytorch`.
const NAMES: Names = Names {
    stem: &[StemNames::alone("conv1")],
    block: |stage, ix| format!("block{}.layer.{ix}", stage + 1),
    shortcut: ["convShortcut", ""],
    last_bn: "bn1",
    ..Names::TORCHVISION
};

/// The probability of dropout in the networks whose name ends in `-dropout`.
const DROPOUT: f32 = 0.3;

/// Returns the network for ImageNet with this name.
pub fn for_imagenet(name: &str) -> Option<ResNet> {
    let depths = match name {
        "wide_resnet50_2" => [3, 4, 6, 3],
        "wide_resnet101_2" => [3, 4, 23, 3],
        _ => return None,
    };
    Some(ResNet {
        name: name.to_string(),
        description: "twice the channels in the 3x3 convolutions (Zagoruyko and Komodakis 2016)"
            .to_string(),
        depths: depths.to_vec(),
        base_width: 128,
        ..ResNet::default()
    })
}

/// Returns the network for CIFAR with this name.
pub fn named(name: &str) -> Option<PreActivation> {
    let (sizes, dropout) = match name.strip_suffix("-dropout") {
        Some(sizes) => (sizes, DROPOUT),
        None => (name, 0.0),
    };
    let (depth, factor) = sizes.strip_prefix("wrn-")?.split_once('-')?;
    let [depth, factor] = [depth, factor].map(|number| number.parse::<u16>().ok());
    let (depth, factor) = (usize::from(depth?), usize::from(factor?));
    let in_blocks = depth.checked_sub(4)?;
    let exists = in_blocks > 0 && in_blocks.is_multiple_of(6) && factor > 0;
    if !exists || sizes != format!("wrn-{depth}-{factor}") {
        return None;
    }
    let with = if dropout > 0.0 { ", with dropout" } else { "" };
    Some(PreActivation {
        name: name.to_string(),
        description: format!(
            "{depth} layers for CIFAR, {factor} times as wide (Zagoruyko and Komodakis 2016){with}"
        ),
        depths: vec![in_blocks / 6; 3],
        factor,
        shortcut: Shortcut::Projection,
        dropout,
        names: NAMES,
        head: Linear { bias: true, zero_bias: true, ..Linear::default() },
        ..PreActivation::default()
    })
}
