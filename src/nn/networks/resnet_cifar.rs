//! The residual networks for CIFAR of He et al. (2015), section 4.2: 6n + 2 layers with weights, in three stages of n
//! residual blocks. The sizes are those of images of 32x32 pixels.
//!
//! ```text
//! conv1    conv 3 -> w, batch norm, ReLU                 32 x 32
//! layer1   n blocks of w channels                        32 x 32
//! layer2   n blocks of 2w channels                       16 x 16
//! layer3   n blocks of 4w channels                        8 x 8
//! linear   mean over the plane, linear 4w -> classes
//! ```
//!
//! A block is the basic block of `resnet.rs`: conv, batch norm, ReLU, conv, batch norm, `+ shortcut`, ReLU. Unlike the
//! networks for ImageNet, these have no pool in the stem, and their shortcuts have no parameters: where the shape
//! changes, the shortcut is every second row and column of x, with channels of zeros before and after the channels of x
//! (the paper's option A). Variants:
//!
//! * `resnet20-b`: shortcuts with a 1x1 convolution and a batch norm where the shape changes (option B).
//! * `plain20`: no shortcuts. The paper compares ResNets with these networks, which get worse with depth.
//! * `resnet20-concat`: where the others add, a 1x1 convolution of the concatenation, as in an Inception network.
//!
//! Names and initial weights are those of the public code whose weights are in wide use
//! (`akamaster/pytorch_resnet_cifar10`).

use super::resnet::{Join, ResNet, basic};
use super::stages::{Names, Shortcut, Stem};
use super::{Family, Network};
use crate::nn::layers::{Init, Linear};

/// The ResNets for CIFAR with and without shortcuts.
pub static FAMILY: Family = Family {
    names: &[
        "resnet20",
        "resnet32",
        "resnet44",
        "resnet56",
        "resnet110",
        "resnet1202",
        "resnet20-b",
        "resnet56-b",
        "resnet110-b",
        "plain20",
        "plain32",
        "plain44",
        "plain56",
        "plain110",
        "resnet20-concat",
    ],
    pattern: Some("resnetN, resnetN-b, resnetN-concat, plainN (N = 6n + 2)"),
    find: |name| named(name).map(|network| Box::new(network) as Box<dyn Network>),
};

/// Returns the network of this file with this name.
pub fn named(name: &str) -> Option<ResNet> {
    let (base, variant) = name.split_once('-').map_or((name, None), |(base, v)| (base, Some(v)));
    let (number, join, shortcut, about) = match (base.strip_prefix("plain"), variant) {
        (Some(number), None) => (number, Join::Plain, Shortcut::Padded, "without shortcuts"),
        (Some(_), Some(_)) => return None,
        (None, _) => {
            let number = base.strip_prefix("resnet")?;
            match variant {
                None => (number, Join::Add, Shortcut::Padded, "shortcuts without parameters"),
                Some("b") => {
                    (number, Join::Add, Shortcut::Projection, "1x1 convolutions in shortcuts")
                }
                Some("concat") => {
                    (number, Join::Concat, Shortcut::Padded, "concatenation in place of addition")
                }
                Some(_) => return None,
            }
        }
    };
    let n_blocks = blocks_of(number, 6)?;
    Some(ResNet {
        name: name.to_string(),
        description: format!("{number} layers for CIFAR (He et al. 2015), {about}"),
        image: [32, 32, 3],
        width: 16,
        stem: Stem::Small,
        block: basic,
        expansion: 1,
        depths: vec![n_blocks; 3],
        shortcut,
        join,
        names: Names::CIFAR,
        init: Init::KaimingNormal,
        head: Linear { bias: true, init: Init::KaimingNormal, ..Linear::default() },
        ..ResNet::default()
    })
}

/// Returns the number of blocks of each stage in a network of `number` layers, if this number is `per_block` times the
/// number of blocks, plus 2. A number above 9,999 has no network.
pub(super) fn blocks_of(number: &str, per_block: usize) -> Option<usize> {
    let is_plain = number.bytes().all(|byte| byte.is_ascii_digit()) && !number.starts_with('0');
    let depth: usize = number.parse().ok().filter(|&depth| is_plain && depth <= 9_999)?;
    let in_blocks = depth.checked_sub(2)?;
    (in_blocks > 0 && in_blocks.is_multiple_of(per_block)).then_some(in_blocks / per_block)
}
