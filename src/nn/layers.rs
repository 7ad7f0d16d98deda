//! Layers: ops with their parameters, under PyTorch's names.
//!
//! A layer is a function. It adds its parameters to the tape (`prep.0.weight`), records its op, and returns the output
//! of the op. On a training tape and on an evaluation tape, a layer adds the same parameters and statistics in the same
//! order, so both tapes can share one state.

use crate::ops::conv2d::Conv2d;
use crate::ops::resize::Interpolation;
use crate::ops::{self, Pool, Window, batch_norm::Normalised};
use crate::tape::{Initializer, Layout, Mode, StateBuffer, Tape, ValueId};

/// The weight of a batch's statistics in the update of the running statistics.
pub const BATCH_NORM_MOMENTUM: f32 = 0.1;

/// The distribution of the initial weights of a convolution or linear layer. The layer's bias is uniform in
/// ±1/√fan_in, or zero.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub enum Init {
    /// Uniform in ±1/√fan_in, PyTorch's default.
    #[default]
    Uniform,
    /// Normal with standard deviation √(2/fan_in), `kaiming_normal_` in PyTorch.
    KaimingNormal,
    /// Normal with standard deviation √(2/fan_out), `kaiming_normal_(mode="fan_out")` in PyTorch. fan_out is the number
    /// of output channels times the area of the kernel. As in PyTorch, groups do not divide it.
    KaimingNormalFanOut,
    /// Normal with this standard deviation.
    Normal {
        /// The standard deviation.
        standard_deviation: f64,
    },
}

impl Init {
    fn initializer(self, fan_in: usize, fan_out: usize) -> Initializer {
        let kaiming =
            |fan: usize| Initializer::Normal { standard_deviation: (2.0 / fan as f64).sqrt() };
        match self {
            Init::Uniform => Initializer::Uniform { fan_in },
            Init::KaimingNormal => kaiming(fan_in),
            Init::KaimingNormalFanOut => kaiming(fan_out),
            Init::Normal { standard_deviation } => Initializer::Normal { standard_deviation },
        }
    }
}

/// The settings of a convolution layer, except its numbers of input and output channels.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Conv {
    /// Size and stride of the kernel, and the zeros around the plane.
    pub window: Window,
    /// Number of groups of channels; an output channel reads the input channels of its own group only.
    pub groups: usize,
    /// True for a convolution with a bias. If a batch norm follows the convolution, a bias has no effect, because the
    /// batch norm subtracts the mean.
    pub bias: bool,
    /// True for a bias that is 0 at first.
    pub zero_bias: bool,
    /// Distribution of the layer's initial weights.
    pub init: Init,
}

impl Default for Conv {
    /// Returns the settings of a 3x3 convolution with stride 1 and padding 1, with one group and no bias. Its output
    /// has as many rows and columns as its input.
    fn default() -> Self {
        Self::square(3, 1, 1)
    }
}

impl Conv {
    /// Returns the settings of a convolution with a square kernel and the same stride and padding along both axes, with
    /// one group and no bias.
    pub const fn square(kernel_size: usize, stride: usize, padding: usize) -> Self {
        let window = Window::square(kernel_size, stride, padding);
        Self { window, groups: 1, bias: false, zero_bias: false, init: Init::Uniform }
    }

    /// Returns these settings with this stride along both axes.
    pub const fn strided(mut self, stride: usize) -> Self {
        self.window.stride = [stride; 2];
        self
    }
}

/// Records a convolution, `[N, H, W, Ci]` to `[N, OH, OW, out_channels]`. Parameters: `weight` and, if
/// `conv.bias` is true, `bias`.
///
/// # Panics
/// If the kernel is larger than the padded plane, or the groups do not divide the channels.
pub fn conv2d(tape: &mut Tape, name: &str, x: ValueId, out_channels: usize, conv: Conv) -> ValueId {
    let Conv { window, groups, bias, zero_bias, init } = conv;
    let in_channels = channels(tape, x);
    assert!(
        in_channels.is_multiple_of(groups) && out_channels.is_multiple_of(groups),
        "{name}: {groups} groups do not divide {in_channels} and {out_channels} channels"
    );
    let [kernel_h, kernel_w] = window.size;
    let shape = [kernel_h, kernel_w, in_channels / groups, out_channels];
    let fan_in = window.area() * in_channels / groups;
    let start = init.initializer(fan_in, window.area() * out_channels);
    let weight = tape.parameter(&format!("{name}.weight"), &shape, Layout::ConvWeight, start);
    let start = initial_bias(zero_bias, fan_in);
    let bias = bias.then(|| parameter(tape, name, "bias", out_channels, start));
    tape.scoped(name, |tape| ops::conv2d::conv2d(tape, x, weight, bias, Conv2d { window, groups }))
}

/// The settings of a batch norm layer.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct BatchNorm {
    /// The number that the layer adds to a variance before the square root.
    pub eps: f32,
    /// The initial value of every element of `weight`. With 0 in the last batch norm of a residual branch, the branch
    /// adds nothing at first, and the block is the identity.
    pub initial_weight: f32,
}

impl Default for BatchNorm {
    /// Returns PyTorch's settings: eps 1e-5, and weights that are 1 at first.
    fn default() -> Self {
        Self { eps: 1e-5, initial_weight: 1.0 }
    }
}

/// Records batch normalisation with PyTorch's default settings, as [`batch_norm_with`] does.
pub fn batch_norm(tape: &mut Tape, name: &str, x: ValueId) -> ValueId {
    batch_norm_with(tape, name, x, BatchNorm::default())
}

/// Records batch normalisation over all axes but the last. Parameters: `weight` (gamma) and `bias` (beta);
/// statistics: `running_mean` and `running_var`.
///
/// On a training tape, the layer normalises by the batch's statistics and places them in
/// [`StateBuffer::BatchStatistics`]; [`running_statistics::update`](ops::running_statistics::update) merges them into
/// the running statistics. On an evaluation tape, and if the layer is [frozen](Tape::freeze), the layer normalises by the
/// running statistics.
pub fn batch_norm_with(
    tape: &mut Tape,
    name: &str,
    x: ValueId,
    BatchNorm { eps, initial_weight }: BatchNorm,
) -> ValueId {
    let n = channels(tape, x);
    let gamma = parameter(tape, name, "weight", n, Initializer::Constant(initial_weight));
    let beta = parameter(tape, name, "bias", n, Initializer::Constant(0.0));
    let (mean_name, variance_name) =
        (format!("{name}.running_mean"), format!("{name}.running_var"));
    let running_mean = tape.statistic(&mean_name, &[n], 0.0);
    let running_variance = tape.statistic(&variance_name, &[n], 1.0);
    let has_batch_statistics = tape.mode() == Mode::Train && !tape.is_frozen(name);
    tape.scoped(name, |tape| match has_batch_statistics {
        true => {
            let Normalised { y, mean, unbiased_variance } =
                ops::batch_norm::batch_norm(tape, x, gamma, beta, eps);
            tape.place(mean, StateBuffer::BatchStatistics, &mean_name);
            tape.place(unbiased_variance, StateBuffer::BatchStatistics, &variance_name);
            y
        }
        false => ops::batch_norm::batch_norm_eval(
            tape,
            x,
            gamma,
            beta,
            running_mean,
            running_variance,
            eps,
        ),
    })
}

/// The settings of a linear layer, except its numbers of input and output features.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Linear {
    /// True for a layer with a bias.
    pub bias: bool,
    /// True for a bias that is 0 at first.
    pub zero_bias: bool,
    /// Distribution of the layer's initial weights.
    pub init: Init,
}

/// Records a linear layer with PyTorch's initial weights, `[N, in]` to `[N, out_features]`. Parameters: `weight` and,
/// if `bias` is true, `bias`.
///
/// # Panics
/// If `x` does not have two axes; [`flatten`] reshapes it to two.
pub fn linear(tape: &mut Tape, name: &str, x: ValueId, out_features: usize, bias: bool) -> ValueId {
    linear_with(tape, name, x, out_features, Linear { bias, ..Linear::default() })
}

/// Records a linear layer as [`linear`] does, with the given settings instead of the default ones.
///
/// # Panics
/// As for [`linear`].
pub fn linear_with(
    tape: &mut Tape,
    name: &str,
    x: ValueId,
    out_features: usize,
    Linear { bias, zero_bias, init }: Linear,
) -> ValueId {
    let shape = tape.shape(x);
    assert_eq!(shape.len(), 2, "{name}: a linear layer takes [N, features], not {shape:?}");
    let fan_in = shape[1];
    let (shape, start) = ([fan_in, out_features], init.initializer(fan_in, out_features));
    let weight = tape.parameter(&format!("{name}.weight"), &shape, Layout::LinearWeight, start);
    let start = initial_bias(zero_bias, fan_in);
    let bias = bias.then(|| parameter(tape, name, "bias", out_features, start));
    tape.scoped(name, |tape| ops::linear::linear(tape, x, weight, bias))
}

/// Records a ReLU. `x` can have any shape.
pub fn relu(tape: &mut Tape, name: &str, x: ValueId) -> ValueId {
    tape.scoped(name, |tape| ops::relu::relu(tape, x))
}

/// Records dropout of `x`, `[N, ...]`: on a training tape, an element becomes 0 with probability `p`, and otherwise
/// `1/(1 − p)` times itself. The mask of an image is a function of the seed, the epoch, the number of the image and the
/// number of the layer. On an evaluation tape, or with `p` 0, the layer records nothing and returns `x`.
///
/// # Panics
/// If `p` is not in 0..1, or the tape has no [image numbers](Tape::set_image_numbers).
pub fn dropout(tape: &mut Tape, name: &str, x: ValueId, p: f32) -> ValueId {
    if tape.mode() == Mode::Eval || p == 0.0 {
        return x;
    }
    let numbers = tape.image_numbers().unwrap_or_else(|| {
        panic!("{name}: dropout reads the numbers of the images; call Tape::set_image_numbers")
    });
    tape.scoped(name, |tape| ops::dropout::dropout(tape, x, numbers, p))
}

/// Records a leaky ReLU: numbers that are not positive are multiplied by `slope`. `x` can have any shape.
///
/// # Panics
/// If the slope is not positive.
pub fn leaky_relu(tape: &mut Tape, name: &str, x: ValueId, slope: f32) -> ValueId {
    tape.scoped(name, |tape| ops::leaky_relu::leaky_relu(tape, x, slope))
}

/// Records a sigmoid. `x` can have any shape.
pub fn sigmoid(tape: &mut Tape, name: &str, x: ValueId) -> ValueId {
    tape.scoped(name, |tape| ops::sigmoid::sigmoid(tape, x))
}

/// Records max pooling of `x`, `[N, H, W, C]`. `pool` is a [`Pool`], a [`Window`], or the size of square windows that
/// have no overlap, no gaps and no padding.
pub fn max_pool2d(tape: &mut Tape, name: &str, x: ValueId, pool: impl Into<Pool>) -> ValueId {
    tape.scoped(name, |tape| ops::max_pool2d::max_pool2d(tape, x, pool))
}

/// Records the maximum over all rows and columns of each channel: `[N, H, W, C]` to `[N, 1, 1, C]`.
pub fn global_max_pool2d(tape: &mut Tape, name: &str, x: ValueId) -> ValueId {
    let [_, h, w, _] = ops::nhwc("global_max_pool2d", tape.shape(x));
    max_pool2d(tape, name, x, Window { size: [h, w], stride: [h, w], padding: [0, 0] })
}

/// Records average pooling of `x`, `[N, H, W, C]`. `pool` is as for [`max_pool2d`]. With `count_include_pad`, PyTorch's
/// default, the zeros of the padding count in the means.
pub fn avg_pool2d(
    tape: &mut Tape,
    name: &str,
    x: ValueId,
    pool: impl Into<Pool>,
    count_include_pad: bool,
) -> ValueId {
    tape.scoped(name, |tape| ops::avg_pool2d::avg_pool2d(tape, x, pool, count_include_pad))
}

/// Records average pooling to planes of `[OH, OW]`, whose windows divide the plane: `[N, H, W, C]` to `[N, OH, OW, C]`.
pub fn adaptive_avg_pool2d(tape: &mut Tape, name: &str, x: ValueId, out: [usize; 2]) -> ValueId {
    tape.scoped(name, |tape| ops::avg_pool2d::adaptive_avg_pool2d(tape, x, out))
}

/// Records the mean over all rows and columns of each channel: `[N, H, W, C]` to `[N, 1, 1, C]`.
pub fn global_avg_pool2d(tape: &mut Tape, name: &str, x: ValueId) -> ValueId {
    tape.scoped(name, |tape| ops::avg_pool2d::global_avg_pool2d(tape, x))
}

/// Records a blur pool, which halves rows and columns without aliasing: `[N, H, W, C]` to `[N, OH, OW, C]`.
pub fn blur_pool(tape: &mut Tape, name: &str, x: ValueId) -> ValueId {
    tape.scoped(name, |tape| ops::blur_pool::blur_pool(tape, x))
}

/// Records the bilinear resize of `x`, `[N, H, W, C]`, to `[N, OH, OW, C]`; `out` is `[OH, OW]`. With `align_corners`,
/// the centres of the corner pixels of both planes lie on one another.
pub fn resize_bilinear(
    tape: &mut Tape,
    name: &str,
    x: ValueId,
    out: [usize; 2],
    align_corners: bool,
) -> ValueId {
    let interpolation = Interpolation::Bilinear { align_corners };
    tape.scoped(name, |tape| ops::resize::resize(tape, x, out, interpolation))
}

/// Records the padding of `x` with `before` channels of zeros before its own channels and `after` channels of zeros
/// after them: `[..., C]` to `[..., before + C + after]`.
///
/// # Panics
/// If x has no axis.
pub fn channel_pad(
    tape: &mut Tape,
    name: &str,
    x: ValueId,
    before: usize,
    after: usize,
) -> ValueId {
    tape.scoped(name, |tape| ops::channel_pad::channel_pad(tape, x, before, after))
}

/// Records the channels `first..first + channels` of `x`, `[..., C]`.
///
/// # Panics
/// If the range is empty, or x does not have all of its channels.
pub fn channel_slice(
    tape: &mut Tape,
    name: &str,
    x: ValueId,
    first: usize,
    channels: usize,
) -> ValueId {
    tape.scoped(name, |tape| ops::channel_slice::channel_slice(tape, x, first, channels))
}

/// Records the concatenation of values along channels, in their order.
///
/// # Panics
/// If there are no values, or they differ in an axis other than the channels.
pub fn concat(tape: &mut Tape, name: &str, inputs: &[ValueId]) -> ValueId {
    tape.scoped(name, |tape| ops::concat::concat(tape, inputs))
}

/// Records the move of blocks of `block` rows and columns to channels: `[N, H, W, C]` to
/// `[N, H / block, W / block, block * block * C]`.
///
/// # Panics
/// If `block` does not divide the rows or the columns.
pub fn space_to_depth(tape: &mut Tape, name: &str, x: ValueId, block: usize) -> ValueId {
    tape.scoped(name, |tape| ops::space_to_depth::space_to_depth(tape, x, block))
}

/// Records `a + b`, the end of a residual block.
pub fn add(tape: &mut Tape, name: &str, a: ValueId, b: ValueId) -> ValueId {
    tape.scoped(name, |tape| ops::add::add(tape, a, b))
}

/// Records `a * b`. The shape of b is the shape of a, or `[N, 1, 1, C]` for an a of shape `[N, H, W, C]`.
///
/// # Panics
/// If b has another shape.
pub fn mul(tape: &mut Tape, name: &str, a: ValueId, b: ValueId) -> ValueId {
    tape.scoped(name, |tape| ops::mul::mul(tape, a, b))
}

/// Records the reshape of `[N, H, W, C]` to `[N, C*H*W]`, in PyTorch's order.
pub fn flatten(tape: &mut Tape, name: &str, x: ValueId) -> ValueId {
    tape.scoped(name, |tape| ops::flatten::flatten(tape, x))
}

fn channels(tape: &Tape, x: ValueId) -> usize {
    ops::n_channels(tape.shape(x))
}

/// Returns the distribution of a bias: zero, or uniform in ±1/√fan_in.
fn initial_bias(is_zero: bool, fan_in: usize) -> Initializer {
    if is_zero { Initializer::Constant(0.0) } else { Initializer::Uniform { fan_in } }
}

/// Records a parameter of shape `[n]`, one number per channel.
fn parameter(tape: &mut Tape, name: &str, which: &str, n: usize, start: Initializer) -> ValueId {
    tape.parameter(&format!("{name}.{which}"), &[n], Layout::Plain, start)
}

#[cfg(test)]
mod tests;
