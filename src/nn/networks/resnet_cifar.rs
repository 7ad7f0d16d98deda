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
//! A block is conv, batch norm, ReLU, conv, batch norm, `+ shortcut`, ReLU. Convolutions are 3x3 with padding 1 and
//! have no bias. The first block of the second and third stage halves rows and columns and doubles the channels. Its
//! shortcut is the paper's option A, without parameters: every second row and column of x, with channels of zeros
//! before and after the channels of x.
//!
//! Names and initial weights are those of the public code whose weights are in wide use
//! (`akamaster/pytorch_resnet_cifar10`).

use super::Network;
use crate::nn::layers::{self, Conv, Init, Linear};
use crate::ops::Window;
use crate::tape::{Tape, ValueId};

/// ResNet-20, three blocks a stage.
pub static RESNET20: ResNetCifar = ResNetCifar {
    name: "resnet20",
    description: "20 layers for CIFAR (He et al. 2015), shortcuts without parameters",
    blocks: 3,
};

/// ResNet-32, five blocks a stage.
pub static RESNET32: ResNetCifar =
    ResNetCifar { name: "resnet32", description: "the same with 32 layers", blocks: 5 };

/// ResNet-44, seven blocks a stage.
pub static RESNET44: ResNetCifar =
    ResNetCifar { name: "resnet44", description: "the same with 44 layers", blocks: 7 };

/// ResNet-56, nine blocks a stage.
pub static RESNET56: ResNetCifar =
    ResNetCifar { name: "resnet56", description: "the same with 56 layers", blocks: 9 };

/// A residual network for CIFAR, of 6n + 2 layers.
#[derive(Debug)]
pub struct ResNetCifar {
    name: &'static str,
    description: &'static str,
    /// Number of residual blocks in each stage, n.
    blocks: usize,
}

impl Network for ResNetCifar {
    fn name(&self) -> &'static str {
        self.name
    }

    fn description(&self) -> &'static str {
        self.description
    }

    fn default_width(&self) -> usize {
        16
    }

    fn check_input(&self, [h, w, c]: [usize; 3]) -> Result<(), String> {
        match h.min(w).min(c) > 0 {
            true => Ok(()),
            false => Err(format!("{}: images of {h}x{w}x{c}; give every axis a size", self.name)),
        }
    }

    fn stem(&self) -> &'static str {
        "conv1.weight"
    }

    fn head(&self) -> &'static str {
        "linear.weight"
    }

    fn record(&self, tape: &mut Tape, x: ValueId, width: usize, classes: usize) -> ValueId {
        let x = conv_bn(tape, ["conv1", "bn1"], x, width, 1);
        let mut x = layers::relu(tape, "relu", x);
        for stage in 0..3 {
            for ix in 0..self.blocks {
                let stride = if stage > 0 && ix == 0 { 2 } else { 1 };
                let name = format!("layer{}.{ix}", stage + 1);
                x = block(tape, &name, x, width << stage, stride);
            }
        }
        let x = layers::global_avg_pool2d(tape, "pool", x);
        let x = layers::flatten(tape, "flatten", x);
        let head = Linear { bias: true, init: Init::KaimingNormal };
        layers::linear_with(tape, "linear", x, classes, head)
    }
}

/// Records a residual block, `[N, H, W, Ci]` to `[N, H/stride, W/stride, out_channels]`.
fn block(tape: &mut Tape, name: &str, x: ValueId, out_channels: usize, stride: usize) -> ValueId {
    let of = |layer: &str| format!("{name}.{layer}");
    let y = conv_bn(tape, [&of("conv1"), &of("bn1")], x, out_channels, stride);
    let y = layers::relu(tape, &of("relu1"), y);
    let y = conv_bn(tape, [&of("conv2"), &of("bn2")], y, out_channels, 1);
    let shortcut = shortcut(tape, &of("shortcut"), x, out_channels, stride);
    let y = layers::add(tape, name, y, shortcut);
    layers::relu(tape, &of("relu2"), y)
}

/// Records the shortcut of a block: x itself, or the paper's option A where the shape changes.
fn shortcut(
    tape: &mut Tape,
    name: &str,
    x: ValueId,
    out_channels: usize,
    stride: usize,
) -> ValueId {
    let channels = tape.shape(x)[3];
    if stride == 1 && channels == out_channels {
        return x;
    }
    // With a window of one pixel and stride 2, average pooling copies every second row and column.
    let x = layers::avg_pool2d(tape, name, x, Window::square(1, stride, 0), true);
    let before = (out_channels - channels) / 2;
    layers::channel_pad(tape, name, x, before, out_channels - channels - before)
}

/// Records a 3x3 convolution and a batch norm.
fn conv_bn(
    tape: &mut Tape,
    [conv, bn]: [&str; 2],
    x: ValueId,
    out_channels: usize,
    stride: usize,
) -> ValueId {
    let settings = Conv { stride, init: Init::KaimingNormal, ..Conv::default() };
    let x = layers::conv2d(tape, conv, x, out_channels, settings);
    layers::batch_norm(tape, bn, x)
}
