//! ResNet-9: nine layers with weights, and two residual blocks. The sizes are those of images of 32x32 pixels.
//!
//! ```text
//! prep    conv 3 -> w, batch norm, ReLU                         32 x 32
//! layer1  conv w -> 2w, max pool 2, batch norm, ReLU            16 x 16
//! res1    x + two of (conv 2w -> 2w, batch norm, ReLU)
//! layer2  conv 2w -> 4w, max pool 2, batch norm, ReLU            8 x 8
//! layer3  conv 4w -> 8w, max pool 2, batch norm, ReLU            4 x 4
//! res2    x + two of (conv 8w -> 8w, batch norm, ReLU)
//! fc      max pool 4, flatten, linear 8w -> classes
//! ```
//!
//! Convolutions are 3x3 with padding 1. The convolutions and the linear layer have no bias. The window of the last pool
//! is the whole plane, so the network takes images of all sizes for which the first three pools leave at least a pixel.

use super::{Family, Heads, ImageRule, Network, NetworkConfig, Sizes};
use crate::nn::layers::{self, Conv};
use crate::tape::{Tape, ValueId};

/// The family in the list [`FAMILIES`](super::FAMILIES), which has one network.
pub static FAMILY: Family = Family { names: &["resnet9"], pattern: None, find };

fn find(name: &str) -> Option<Box<dyn Network>> {
    (name == "resnet9").then(|| Box::new(NETWORK) as Box<dyn Network>)
}

/// The ResNet-9.
pub static NETWORK: Entry = Entry;

/// The type of [`NETWORK`].
#[derive(Clone, Copy, Debug)]
pub struct Entry;

impl Network for Entry {
    fn name(&self) -> &str {
        "resnet9"
    }

    fn description(&self) -> &str {
        "nine layers, two residual blocks, max pools; trains fast"
    }

    fn default_width(&self) -> usize {
        64
    }

    fn default_image(&self) -> [usize; 3] {
        [32, 32, 3]
    }

    fn image_rule(&self) -> ImageRule {
        // The first three pools reduce a plane of this size to one pixel.
        ImageRule { smallest: 8, multiple_of: 1 }
    }

    fn stem(&self) -> String {
        "prep.0.weight".to_string()
    }

    fn head(&self) -> String {
        "fc.weight".to_string()
    }

    fn record(&self, tape: &mut Tape, x: ValueId, sizes: Sizes) -> Heads {
        let Sizes { width, classes, .. } = sizes;
        // `prep` is the stem, the layers before the first stage.
        let x = block(tape, "prep", x, width, Pool::No);
        let x = block(tape, "layer1", x, 2 * width, Pool::Yes);
        let x = residual(tape, "res1", x);
        let x = block(tape, "layer2", x, 4 * width, Pool::Yes);
        let x = block(tape, "layer3", x, 8 * width, Pool::Yes);
        let x = residual(tape, "res2", x);
        let x = layers::global_max_pool2d(tape, "pool", x);
        let x = layers::flatten(tape, "flatten", x);
        layers::linear(tape, "fc", x, classes, false).into()
    }
}

/// The configuration of a ResNet-9. It converts into a [`NetworkConfig`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ResNet9 {
    /// Number of channels of the first layer; the recipe for CIFAR-10 has 64.
    pub width: usize,
    /// Number of classes.
    pub classes: usize,
}

impl From<ResNet9> for NetworkConfig {
    fn from(ResNet9 { width, classes }: ResNet9) -> Self {
        Self::new(&NETWORK, width, classes)
    }
}

/// Records a ResNet-9 on images `x`, `[N, H, W, C]`, and returns the logits, `[N, classes]`.
///
/// # Panics
/// As for [`NetworkConfig::record`].
pub fn resnet9(tape: &mut Tape, x: ValueId, network: ResNet9) -> ValueId {
    NetworkConfig::from(network).record(tape, x)
}

#[derive(Clone, Copy, PartialEq)]
enum Pool {
    Yes,
    No,
}

/// Records a convolution, a max pool if `pool` selects one, batch norm and ReLU. The layers have numbers in their
/// names, as in PyTorch's `Sequential`.
fn block(tape: &mut Tape, name: &str, x: ValueId, out_channels: usize, pool: Pool) -> ValueId {
    let mut names = (0..).map(|ix| format!("{name}.{ix}"));
    let mut next = || names.next().expect("an endless range");
    let mut x = layers::conv2d(tape, &next(), x, out_channels, Conv::default());
    if pool == Pool::Yes {
        x = layers::max_pool2d(tape, &next(), x, 2);
    }
    let x = layers::batch_norm(tape, &next(), x);
    layers::relu(tape, &next(), x)
}

/// Records `x + block_1(block_0(x))`, with weights for each block.
fn residual(tape: &mut Tape, name: &str, x: ValueId) -> ValueId {
    let channels = tape.shape(x)[3];
    let y = block(tape, &format!("{name}.0"), x, channels, Pool::No);
    let y = block(tape, &format!("{name}.1"), y, channels, Pool::No);
    layers::add(tape, name, x, y)
}
