//! A plain network with or without batch norm.

use wgrad::nn::layers::{self, Conv, Init, Linear};
use wgrad::nn::networks::parts;

use super::custom::Custom;

/// Number of channels of each convolution, as a multiple of the width, and its stride.
const CONVS: [(usize, usize); 7] = [(1, 1), (1, 1), (1, 1), (2, 2), (2, 1), (4, 2), (4, 1)];

/// Returns a network of seven 3x3 convolutions, each with a ReLU, then the mean over the plane and a linear layer. Behind
/// each convolution is a batch norm, or each convolution has a bias. The convolutions are `conv1` to `conv7`, the batch
/// norms `bn1` to `bn7`.
pub fn plain8(has_batch_norm: bool) -> Custom {
    let name = if has_batch_norm { "plain8, batch norm" } else { "plain8, no norm" };
    Custom::new(name, move |tape, mut x, sizes| {
        for (ix, (channels, stride)) in CONVS.into_iter().enumerate() {
            let conv = Conv {
                bias: !has_batch_norm,
                zero_bias: true,
                init: Init::KaimingNormal,
                ..Conv::square(3, stride, 1)
            };
            let n = ix + 1;
            x = layers::conv2d(tape, &format!("conv{n}"), x, sizes.width * channels, conv);
            if has_batch_norm {
                x = layers::batch_norm(tape, &format!("bn{n}"), x);
            }
            x = layers::relu(tape, &format!("relu{n}"), x);
        }
        let linear = Linear { bias: true, ..Linear::default() };
        parts::head(tape, "linear", x, sizes.classes, linear)
    })
}
