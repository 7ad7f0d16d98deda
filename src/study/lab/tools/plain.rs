//! A plain network with or without batch norm.

use wgrad::nn::layers::{self, Conv, Init, Linear};
use wgrad::nn::networks::{Heads, Network, Sizes, parts};
use wgrad::tape::{Tape, ValueId};

/// Seven 3x3 convolutions, each with a ReLU, then the mean over the plane and a linear layer. The convolutions are
/// `conv1` to `conv7`, the batch norms `bn1` to `bn7`.
#[derive(Clone, Copy, Debug)]
pub struct Plain {
    /// True for a batch norm behind each convolution, false for a bias in each convolution.
    pub has_batch_norm: bool,
}

impl Plain {
    /// The number of convolutions.
    pub const N_CONVS: usize = 7;

    /// Number of channels of each convolution, as a multiple of the width, and its stride.
    const CONVS: [(usize, usize); Self::N_CONVS] =
        [(1, 1), (1, 1), (1, 1), (2, 2), (2, 1), (4, 2), (4, 1)];
}

impl Network for Plain {
    fn name(&self) -> &str {
        if self.has_batch_norm { "plain8, batch norm" } else { "plain8, no norm" }
    }

    fn description(&self) -> &str {
        "8 layers without shortcuts"
    }

    fn default_width(&self) -> usize {
        16
    }

    fn default_image(&self) -> [usize; 3] {
        [32, 32, 3]
    }

    fn stem(&self) -> String {
        "conv1.weight".to_string()
    }

    fn head(&self) -> String {
        "linear.weight".to_string()
    }

    fn record(&self, tape: &mut Tape, mut x: ValueId, sizes: Sizes) -> Heads {
        for (ix, (channels, stride)) in Self::CONVS.into_iter().enumerate() {
            let conv = Conv {
                bias: !self.has_batch_norm,
                zero_bias: true,
                init: Init::KaimingNormal,
                ..Conv::square(3, stride, 1)
            };
            let n = ix + 1;
            x = layers::conv2d(tape, &format!("conv{n}"), x, sizes.width * channels, conv);
            if self.has_batch_norm {
                x = layers::batch_norm(tape, &format!("bn{n}"), x);
            }
            x = layers::relu(tape, &format!("relu{n}"), x);
        }
        let linear = Linear { bias: true, ..Linear::default() };
        parts::head(tape, "linear", x, sizes.classes, linear).into()
    }
}
