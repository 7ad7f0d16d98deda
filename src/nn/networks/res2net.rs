//! Res2Net (Gao et al. 2019, "Res2Net: a new multi-scale backbone architecture"): a ResNet whose bottleneck has a chain
//! of small 3x3 convolutions in place of the one 3x3 convolution.
//!
//! ```text
//! conv 1x1 to s * w channels, BN, ReLU; cut into s slices x1 ... xs of w channels
//!   y1 = K1(x1)                     K is conv 3x3, BN, ReLU
//!   yi = Ki(xi + y(i-1))            i = 2 ... s-1
//!   ys = xs
//! concatenate y1 ... ys, conv 1x1, BN, + shortcut, ReLU
//! ```
//!
//! The outputs y1 to y(s-1) have passed through 1 to s - 1 convolutions, so one block sees the image at several scales. In
//! the first block of a stage, the slices are independent, `yi = Ki(xi)` with the stride, and the last slice goes through
//! a 3x3 average pool.
//!
//! `26w_4s` names s = 4 slices of w = 26 channels in a block of 64 planes. The networks for ImageNet have timm's names.
//! Res2NeXt-29 for CIFAR has a 3x3 stem, three stages of three blocks, and grouped convolutions; `6cx24wx4s` names
//! 6 groups of 24 channels in each of 4 slices.

use super::parts::{self, pointwise};
use super::resnet::ResNet;
use super::stages::{Names, Place, Shortcut, Stem};
use super::{Family, Network};
use crate::nn::layers::{self, Conv};
use crate::ops::Window;
use crate::tape::{Tape, ValueId};

/// The Res2Nets for ImageNet, and Res2NeXt-29 for CIFAR.
pub static FAMILY: Family = Family {
    names: &[
        "res2net50_26w_4s",
        "res2net50_14w_8s",
        "res2net50_26w_6s",
        "res2net50_26w_8s",
        "res2net50_48w_2s",
        "res2net101_26w_4s",
        "res2next50",
        "res2net50d",
        "res2next29-6cx24wx4s",
        "res2next29-8cx25wx4s",
        "res2next29-6cx24wx6s",
    ],
    pattern: None,
    find: |name| named(name).map(|network| Box::new(network) as Box<dyn Network>),
};

/// Returns the network of this file with this name.
pub fn named(name: &str) -> Option<ResNet> {
    // Number of slices, channels of a slice and groups.
    let (scale, base_width, groups) = match name {
        "res2net50_26w_4s" | "res2net101_26w_4s" | "res2net50d" => (4, 26, 1),
        "res2net50_14w_8s" => (8, 14, 1),
        "res2net50_26w_6s" => (6, 26, 1),
        "res2net50_26w_8s" => (8, 26, 1),
        "res2net50_48w_2s" => (2, 48, 1),
        "res2next50" => (4, 4, 8),
        "res2next29-6cx24wx4s" => (4, 24, 6),
        "res2next29-8cx25wx4s" => (4, 25, 8),
        "res2next29-6cx24wx6s" => (6, 24, 6),
        _ => return None,
    };
    let groups_of = match groups {
        1 => String::new(),
        n => format!("{n} groups of "),
    };
    let network = ResNet {
        name: name.to_string(),
        description: format!(
            "bottlenecks of {scale} slices of {groups_of}{base_width} channels (Gao et al. 2019)"
        ),
        block: bottleneck,
        groups,
        base_width,
        scale,
        last_weight: 0.0,
        ..ResNet::default()
    };
    Some(match name {
        "res2net101_26w_4s" => ResNet { depths: vec![3, 4, 23, 3], ..network },
        "res2net50d" => ResNet {
            stem: Stem::Deep,
            shortcut: Shortcut::AveragePool,
            names: Names::AVERAGE_POOL,
            ..network
        },
        _ if name.starts_with("res2next29") => {
            ResNet { image: [32, 32, 3], stem: Stem::Small, depths: vec![3; 3], ..network }
        }
        _ => network,
    })
}

/// Records a Res2Net block, `[N, H, W, Ci]` to `[N, H/stride, W/stride, expansion * planes]`.
pub fn bottleneck(network: &ResNet, tape: &mut Tape, name: &str, x: ValueId, at: Place) -> ValueId {
    let (scale, width) = (network.scale, network.inner_channels(at.planes));
    let y = network.layer(tape, name, (0, false), x, scale * width, pointwise(1, network.init));
    let y = layers::relu(tape, &format!("{name}.relu1"), y);
    let (groups, init) = (network.groups, network.init);
    let conv = Conv { groups, init, ..Conv::square(3, at.stride, 1) };
    let mut slices: Vec<ValueId> = Vec::with_capacity(scale);
    for ix in 0..scale - 1 {
        let mut slice =
            layers::channel_slice(tape, &format!("{name}.slice{ix}"), y, ix * width, width);
        if at.ix > 0
            && let Some(&before) = slices.last()
        {
            slice = layers::add(tape, &format!("{name}.add{ix}"), before, slice);
        }
        let names = [format!("{name}.convs.{ix}"), format!("{name}.bns.{ix}")];
        slice = parts::conv_bn(tape, [&names[0], &names[1]], slice, width, conv);
        slices.push(layers::relu(tape, &format!("{name}.relu2.{ix}"), slice));
    }
    let last = scale - 1;
    let mut slice =
        layers::channel_slice(tape, &format!("{name}.slice{last}"), y, last * width, width);
    if at.ix == 0 {
        let window = Window::square(3, at.stride, 1);
        slice = layers::avg_pool2d(tape, &format!("{name}.pool"), slice, window, true);
    }
    slices.push(slice);
    let y = layers::concat(tape, &format!("{name}.concat"), &slices);
    let out_channels = network.expansion * at.planes;
    let y = network.layer(tape, name, (2, true), y, out_channels, pointwise(1, network.init));
    network.join(tape, name, "relu3", [y, x], at.stride)
}
