//! ResNeXt (Xie et al. 2017, "Aggregated residual transformations for deep neural networks"): a ResNet whose bottleneck
//! has a grouped 3x3 convolution.
//!
//! ```text
//! bottleneck of ResNet-50      conv 1x1 to 64, conv 3x3 64 -> 64, conv 1x1 to 256
//! of ResNeXt-50 (32x4d)        conv 1x1 to 128, conv 3x3 128 -> 128 in 32 groups of 4, conv 1x1 to 256
//! ```
//!
//! A group of channels is a transformation of its own, and the last 1x1 convolution adds all of them up. For the same
//! cost, many narrow groups (the cardinality C) classify better than a wider or deeper network. `CxDd` names C groups
//! of D channels in a bottleneck of 64 planes.
//!
//! The networks for ImageNet have torchvision's names. ResNeXt-29 for CIFAR has a 3x3 stem and three stages of three
//! bottlenecks, with the names of `prlz77/ResNeXt.pytorch`.

use super::resnet::ResNet;
use super::stages::{Names, Stem, StemNames};
use super::{Family, Network};
use crate::nn::layers::{Init, Linear};

/// The ResNeXts for ImageNet and for CIFAR.
pub static FAMILY: Family = Family {
    names: &[
        "resnext50_32x4d",
        "resnext101_32x8d",
        "resnext101_64x4d",
        "resnext29-8x64d",
        "resnext29-16x64d",
        "resnext29-32x4d",
    ],
    pattern: Some("resnext29-CxDd"),
    find: |name| named(name).map(|network| Box::new(network) as Box<dyn Network>),
};

/// The names of `prlz77/ResNeXt.pytorch`.
const NAMES: Names = Names {
    stem: &[StemNames::with_bn("conv_1_3x3", "bn_1", "relu")],
    block: |stage, ix| format!("stage_{0}.stage_{0}_bottleneck_{ix}", stage + 1),
    layers: [["conv_reduce", "bn_reduce"], ["conv_conv", "bn"], ["conv_expand", "bn_expand"]],
    shortcut: ["shortcut.shortcut_conv", "shortcut.shortcut_bn"],
    head: "classifier",
    ..Names::TORCHVISION
};

/// Returns the network of this file with this name.
pub fn named(name: &str) -> Option<ResNet> {
    let (groups, base_width, depths) = match name {
        "resnext50_32x4d" => (32, 4, [3, 4, 6, 3]),
        "resnext101_32x8d" => (32, 8, [3, 4, 23, 3]),
        "resnext101_64x4d" => (64, 4, [3, 4, 23, 3]),
        _ => return for_cifar(name),
    };
    Some(ResNet {
        name: name.to_string(),
        description: format!("bottlenecks with {groups} groups of {base_width} (Xie et al. 2017)"),
        depths: depths.to_vec(),
        groups,
        base_width,
        ..ResNet::default()
    })
}

fn for_cifar(name: &str) -> Option<ResNet> {
    let (groups, width) = name.strip_prefix("resnext29-")?.strip_suffix('d')?.split_once('x')?;
    let [groups, base_width] = [groups, width].map(|number| number.parse::<u16>().ok());
    let (groups, base_width) = (usize::from(groups?), usize::from(base_width?));
    if groups == 0 || base_width == 0 || name != format!("resnext29-{groups}x{base_width}d") {
        return None;
    }
    Some(ResNet {
        name: name.to_string(),
        description: format!(
            "29 layers for CIFAR, bottlenecks with {groups} groups of {base_width} (Xie et al. 2017)"
        ),
        image: [32, 32, 3],
        stem: Stem::Small,
        depths: vec![3; 3],
        groups,
        base_width,
        names: NAMES,
        head: Linear { bias: true, init: Init::KaimingNormal, zero_bias: true },
        ..ResNet::default()
    })
}
