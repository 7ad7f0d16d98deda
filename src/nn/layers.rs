//! Layers: ops with their parameters, under PyTorch's names.
//!
//! A layer is a function. It adds its parameters to the tape (`prep.0.weight`), records its op, and returns the output
//! of the op. On a training tape and on an evaluation tape, a layer adds the same parameters and statistics in the same
//! order, so both tapes can share one state.

use crate::ops::conv2d::Conv2d;
use crate::ops::resize::Interpolation;
use crate::ops::{self, Pool, Window, batch_norm::Normalised};
use crate::tape::{Initializer, Layout, Mode, StateBuffer, Tape, ValueId};

/// The number that batch norm adds to a variance before the square root.
pub const BATCH_NORM_EPS: f32 = 1e-5;

/// The weight of a batch's statistics in the update of the running statistics.
pub const BATCH_NORM_MOMENTUM: f32 = 0.1;

/// The distribution of the initial weights of a convolution or linear layer. The layer's bias is always uniform in
/// ±1/√fan_in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Init {
    /// Uniform in ±1/√fan_in, PyTorch's default.
    #[default]
    Uniform,
    /// Normal with standard deviation √(2/fan_in), `kaiming_normal_` in PyTorch.
    KaimingNormal,
}

impl Init {
    fn initializer(self, fan_in: usize) -> Initializer {
        match self {
            Init::Uniform => Initializer::Uniform { fan_in },
            Init::KaimingNormal => Initializer::KaimingNormal { fan_in },
        }
    }
}

/// The settings of a convolution layer, except its numbers of input and output channels.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Conv {
    /// Number of rows, and of columns, of the kernel.
    pub kernel_size: usize,
    /// Distance in rows, and in columns, from one position of the kernel to the next.
    pub stride: usize,
    /// Number of rows or columns of zeros on each side of the plane.
    pub padding: usize,
    /// Number of groups of channels; an output channel reads the input channels of its own group only.
    pub groups: usize,
    /// True for a convolution with a bias. If a batch norm follows the convolution, a bias has no effect, because the
    /// batch norm subtracts the mean.
    pub bias: bool,
    /// Distribution of the layer's initial weights.
    pub init: Init,
}

impl Default for Conv {
    /// Returns the settings of a 3x3 convolution with stride 1 and padding 1, with one group and no bias. Its output
    /// has as many rows and columns as its input.
    fn default() -> Self {
        let init = Init::Uniform;
        Self { kernel_size: 3, stride: 1, padding: 1, groups: 1, bias: false, init }
    }
}

/// Records a convolution, `[N, H, W, Ci]` to `[N, OH, OW, out_channels]`. Parameters: `weight` and, if
/// `conv.bias` is true, `bias`.
///
/// # Panics
/// If the kernel is larger than the padded plane, or the groups do not divide the channels.
pub fn conv2d(tape: &mut Tape, name: &str, x: ValueId, out_channels: usize, conv: Conv) -> ValueId {
    let Conv { kernel_size, stride, padding, groups, bias, init } = conv;
    let in_channels = channels(tape, x);
    assert!(
        in_channels.is_multiple_of(groups) && out_channels.is_multiple_of(groups),
        "{name}: {groups} groups do not divide {in_channels} and {out_channels} channels"
    );
    let shape = [kernel_size, kernel_size, in_channels / groups, out_channels];
    let fan_in = kernel_size * kernel_size * in_channels / groups;
    let start = init.initializer(fan_in);
    let weight = tape.parameter(&format!("{name}.weight"), &shape, Layout::ConvWeight, start);
    let start = Initializer::Uniform { fan_in };
    let bias = bias.then(|| parameter(tape, name, "bias", out_channels, start));
    let window = Window::square(kernel_size, stride, padding);
    tape.scoped(name, |tape| ops::conv2d::conv2d(tape, x, weight, bias, Conv2d { window, groups }))
}

/// Records batch normalisation over all axes but the last. Parameters: `weight` (gamma) and `bias` (beta);
/// statistics: `running_mean` and `running_var`.
///
/// On a training tape, the layer normalises by the batch's statistics and places them in
/// [`StateBuffer::BatchStatistics`]; [`running_statistics::update`](ops::running_statistics::update) merges them into
/// the running statistics. On an evaluation tape, the layer normalises by the running statistics.
pub fn batch_norm(tape: &mut Tape, name: &str, x: ValueId) -> ValueId {
    let n = channels(tape, x);
    let gamma = parameter(tape, name, "weight", n, Initializer::Constant(1.0));
    let beta = parameter(tape, name, "bias", n, Initializer::Constant(0.0));
    let (mean_name, variance_name) =
        (format!("{name}.running_mean"), format!("{name}.running_var"));
    let running_mean = tape.statistic(&mean_name, &[n], 0.0);
    let running_variance = tape.statistic(&variance_name, &[n], 1.0);
    tape.scoped(name, |tape| match tape.mode() {
        Mode::Train => {
            let Normalised { y, mean, unbiased_variance } =
                ops::batch_norm::batch_norm(tape, x, gamma, beta, BATCH_NORM_EPS);
            tape.place(mean, StateBuffer::BatchStatistics, &mean_name);
            tape.place(unbiased_variance, StateBuffer::BatchStatistics, &variance_name);
            y
        }
        Mode::Eval => ops::batch_norm::batch_norm_eval(
            tape,
            x,
            gamma,
            beta,
            running_mean,
            running_variance,
            BATCH_NORM_EPS,
        ),
    })
}

/// The settings of a linear layer, except its numbers of input and output features.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Linear {
    /// True for a layer with a bias.
    pub bias: bool,
    /// Distribution of the layer's initial weights.
    pub init: Init,
}

/// Records a linear layer with PyTorch's initial weights, `[N, in]` to `[N, out_features]`. Parameters: `weight` and,
/// if `bias` is true, `bias`.
///
/// # Panics
/// If `x` does not have two axes; [`flatten`] reshapes it to two.
pub fn linear(tape: &mut Tape, name: &str, x: ValueId, out_features: usize, bias: bool) -> ValueId {
    linear_with(tape, name, x, out_features, Linear { bias, init: Init::Uniform })
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
    Linear { bias, init }: Linear,
) -> ValueId {
    let shape = tape.shape(x);
    assert_eq!(shape.len(), 2, "{name}: a linear layer takes [N, features], not {shape:?}");
    let fan_in = shape[1];
    let (shape, start) = ([fan_in, out_features], init.initializer(fan_in));
    let weight = tape.parameter(&format!("{name}.weight"), &shape, Layout::LinearWeight, start);
    let start = Initializer::Uniform { fan_in };
    let bias = bias.then(|| parameter(tape, name, "bias", out_features, start));
    tape.scoped(name, |tape| ops::linear::linear(tape, x, weight, bias))
}

/// Records a ReLU. `x` can have any shape.
pub fn relu(tape: &mut Tape, name: &str, x: ValueId) -> ValueId {
    tape.scoped(name, |tape| ops::relu::relu(tape, x))
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
pub fn channel_pad(
    tape: &mut Tape,
    name: &str,
    x: ValueId,
    before: usize,
    after: usize,
) -> ValueId {
    tape.scoped(name, |tape| ops::channel_pad::channel_pad(tape, x, before, after))
}

/// Records `a + b`, the end of a residual block.
pub fn add(tape: &mut Tape, name: &str, a: ValueId, b: ValueId) -> ValueId {
    tape.scoped(name, |tape| ops::add::add(tape, a, b))
}

/// Records the reshape of `[N, H, W, C]` to `[N, C*H*W]`, in PyTorch's order.
pub fn flatten(tape: &mut Tape, name: &str, x: ValueId) -> ValueId {
    tape.scoped(name, |tape| ops::flatten::flatten(tape, x))
}

fn channels(tape: &Tape, x: ValueId) -> usize {
    ops::n_channels(tape.shape(x))
}

/// Records a parameter of shape `[n]`, one number per channel.
fn parameter(tape: &mut Tape, name: &str, which: &str, n: usize, start: Initializer) -> ValueId {
    tape.parameter(&format!("{name}.{which}"), &[n], Layout::Plain, start)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::ElementType;

    /// Returns a tape with a convolution, a batch norm, a flatten and a linear layer.
    fn record(mode: Mode) -> Tape {
        let mut tape = Tape::new("test", mode);
        let x = tape.input("x", ElementType::F32, &[2, 8, 6, 4]);
        let conv = Conv {
            kernel_size: 5,
            stride: 2,
            padding: 2,
            groups: 2,
            bias: true,
            init: Init::Uniform,
        };
        let x = conv2d(&mut tape, "a", x, 6, conv);
        assert_eq!(tape.shape(x), [2, 4, 3, 6]);
        let x = batch_norm(&mut tape, "b", x);
        let x = flatten(&mut tape, "c", x);
        let x = linear(&mut tape, "d", x, 5, true);
        assert_eq!(tape.shape(x), [2, 5]);
        tape
    }

    #[test]
    fn members_have_pytorchs_names_shapes_and_initialisation() {
        let tape = record(Mode::Train);
        let state = tape.state();
        let of = |members: &[crate::tape::StateEntry]| {
            members.iter().map(|m| m.name.clone()).collect::<Vec<_>>()
        };
        let parameters = ["a.weight", "a.bias", "b.weight", "b.bias", "d.weight", "d.bias"];
        assert_eq!(of(&state.parameters), parameters);
        assert_eq!(of(&state.running_statistics), ["b.running_mean", "b.running_var"]);
        let uniform = Initializer::Uniform { fan_in: 5 * 5 * 2 };
        assert_eq!(state.parameters[0].shape, [5, 5, 2, 6]);
        assert_eq!(state.parameters[0].initializer, uniform);
        assert_eq!(state.parameters[1].initializer, uniform);
        assert_eq!(state.parameters[4].shape, [72, 5]);
        assert_eq!(state.parameters[5].initializer, Initializer::Uniform { fan_in: 72 });
    }

    #[test]
    fn both_modes_share_one_state() {
        assert_eq!(record(Mode::Train).state(), record(Mode::Eval).state());
    }

    #[test]
    fn labels_of_nodes_begin_with_the_layers_name() {
        let tape = record(Mode::Eval);
        assert!(tape.nodes()[0].label().starts_with("a.conv2d"), "{}", tape.nodes()[0].label());
    }
}
