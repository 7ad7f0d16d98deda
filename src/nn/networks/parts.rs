//! Parts that several families share: heads, pools, and a convolution with its batch norm.

use crate::nn::layers::{self, BatchNorm, Conv, Init, Linear};
use crate::ops::{Pool, Window};
use crate::tape::{Tape, ValueId};

/// Records the max pool of a stem for photographs, 3x3 with stride 2 and padding 1.
pub fn stem_pool(tape: &mut Tape, x: ValueId) -> ValueId {
    layers::max_pool2d(tape, "maxpool", x, Window::square(3, 2, 1))
}

/// Records a convolution without a bias, and a batch norm. `names` are those of the two layers.
pub fn conv_bn(
    tape: &mut Tape,
    names: [&str; 2],
    x: ValueId,
    out_channels: usize,
    conv: Conv,
) -> ValueId {
    conv_bn_with(tape, names, x, out_channels, conv, BatchNorm::default())
}

/// Records a convolution without a bias, and a batch norm with these settings.
pub fn conv_bn_with(
    tape: &mut Tape,
    [conv_name, bn_name]: [&str; 2],
    x: ValueId,
    out_channels: usize,
    conv: Conv,
    bn: BatchNorm,
) -> ValueId {
    let x = layers::conv2d(tape, conv_name, x, out_channels, conv);
    layers::batch_norm_with(tape, bn_name, x, bn)
}

/// Records a batch norm and a ReLU, the beginning of a block with pre-activation.
pub fn bn_relu(tape: &mut Tape, name: &str, x: ValueId) -> ValueId {
    let x = layers::batch_norm(tape, name, x);
    layers::relu(tape, &format!("{name}.relu"), x)
}

/// Returns the settings of a 1x1 convolution.
pub fn pointwise(stride: usize, init: Init) -> Conv {
    Conv { init, ..Conv::square(1, stride, 0) }
}

/// Records the mean over the plane, and a linear layer: `[N, H, W, C]` to `[N, classes]`.
pub fn head(tape: &mut Tape, name: &str, x: ValueId, classes: usize, linear: Linear) -> ValueId {
    let x = layers::global_avg_pool2d(tape, "pool", x);
    let x = layers::flatten(tape, "flatten", x);
    layers::linear_with(tape, name, x, classes, linear)
}

/// Records a shortcut without parameters, option A of He et al. (2015): every `stride`-th row and column of x, with
/// channels of zeros before and after the channels of x.
pub fn padded_shortcut(
    tape: &mut Tape,
    name: &str,
    x: ValueId,
    out_channels: usize,
    stride: usize,
) -> ValueId {
    let channels = tape.shape(x)[3];
    // With a window of one pixel and stride 2, average pooling copies every second row and column.
    let x = layers::avg_pool2d(tape, name, x, Window::square(1, stride, 0), true);
    let before = (out_channels - channels) / 2;
    layers::channel_pad(tape, name, x, before, out_channels - channels - before)
}

/// Records the average pool of ResNet-D's shortcut, 2x2 with stride 2. In the last row and column of a plane of odd
/// size, the mean is over the pixels of the plane. With stride 1, returns x.
pub fn shortcut_pool(tape: &mut Tape, name: &str, x: ValueId, stride: usize) -> ValueId {
    if stride == 1 {
        return x;
    }
    let pool = Pool { ceil_mode: true, ..Window::square(2, stride, 0).into() };
    layers::avg_pool2d(tape, name, x, pool, false)
}

/// Returns `channels`, a published number of channels, in proportion to the width of a network whose published width is
/// `default_width`; at least 1.
pub fn scaled(channels: usize, width: usize, default_width: usize) -> usize {
    (channels * width / default_width).max(1)
}
