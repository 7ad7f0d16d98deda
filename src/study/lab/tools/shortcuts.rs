//! Blocks with shortcuts that only the studies have.

use wgrad::nn::layers::{self, Conv};
use wgrad::nn::networks::parts::{conv_bn, pointwise};
use wgrad::nn::networks::resnet::{Join, ResNet, basic};
use wgrad::nn::networks::stages::Place;
use wgrad::tape::{Tape, ValueId};

/// Records a basic block without a shortcut where the shape changes.
pub fn identity_only(
    network: &ResNet,
    tape: &mut Tape,
    name: &str,
    x: ValueId,
    at: Place,
) -> ValueId {
    let join = if at.stride == 1 { Join::Add } else { Join::Plain };
    basic(&ResNet { join, ..network.clone() }, tape, name, x, at)
}

/// Records a basic block whose shortcut is always a 1x1 convolution, option C of He et al. (2015).
pub fn projected_everywhere(
    network: &ResNet,
    tape: &mut Tape,
    name: &str,
    x: ValueId,
    at: Place,
) -> ValueId {
    let first = Conv::square(3, at.stride, 1);
    let y = network.layer(tape, name, (0, false), x, at.planes, first);
    let y = layers::relu(tape, &format!("{name}.relu1"), y);
    let y = network.layer(tape, name, (1, true), y, at.planes, Conv::default());
    let [conv, bn] = network.names.shortcut.map(|layer| format!("{name}.{layer}"));
    let shortcut = conv_bn(tape, [&conv, &bn], x, at.planes, pointwise(at.stride, network.init));
    let y = layers::add(tape, name, y, shortcut);
    layers::relu(tape, &format!("{name}.relu2"), y)
}

/// Records a bottleneck block as He et al. (2015) published it: the first 1x1 convolution has the stride.
pub fn published_bottleneck(
    network: &ResNet,
    tape: &mut Tape,
    name: &str,
    x: ValueId,
    at: Place,
) -> ValueId {
    let first = pointwise(at.stride, network.init);
    let y = network.layer(tape, name, (0, false), x, at.planes, first);
    let y = layers::relu(tape, &format!("{name}.relu1"), y);
    let y = network.layer(tape, name, (1, false), y, at.planes, Conv::default());
    let y = layers::relu(tape, &format!("{name}.relu2"), y);
    let (out_channels, last) = (network.expansion * at.planes, pointwise(1, network.init));
    let y = network.layer(tape, name, (2, true), y, out_channels, last);
    network.join(tape, name, "relu3", [y, x], at.stride)
}
