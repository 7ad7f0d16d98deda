//! Residual Attention Network (Wang et al. 2017). The sizes are those of Attention-56 and images of 224x224 pixels.
//!
//! ```text
//! conv1              conv 7x7, 3 -> 64, stride 2, BN, ReLU, max pool 3x3 with stride 2    56 x 56
//! residual_block1    unit to 256 channels                                                 56 x 56
//! attention_module1  with 3 levels
//! residual_block2    unit to 512 channels, stride 2                                       28 x 28
//! attention_module2  with 2 levels
//! residual_block3    unit to 1024 channels, stride 2                                      14 x 14
//! attention_module3  with 1 level
//! residual_block4-6  units to 2048 channels, the first with stride 2                       7 x 7
//! fc                 BN, ReLU, mean over the plane, linear -> classes
//!
//! attention module   x ─ unit ─┬─ unit ─ unit ─ T ──┬─ × ── + ─ unit
//!                              └─ mask M in (0, 1) ─┘       T
//! mask of 2 levels   pool, unit ─┬─ pool, unit, unit, resize ─ + ─ unit, resize, (BN, ReLU, conv 1x1) twice, sigmoid
//!                                └─ unit ─────────────────────┘
//! ```
//!
//! A unit is the bottleneck with pre-activation of `pre_activation.rs`, with the stride on the 3x3 convolution. An
//! attention module multiplies the output T of two units by a mask M with the same shape, (1 + M)·T. The mask comes
//! from a branch that sees a smaller image: each level halves the plane, and a bilinear resize restores its size. The
//! sum with T itself keeps the gradient large where the mask is near 0.
//!
//! Attention-92 has 1, 2 and 3 modules in its three stages. The structure is that of the authors' Caffe files; the
//! names are those of `tengshaofeng/ResidualAttentionNetwork-pytorch`, whose mask differs (it adds T to each resized
//! plane). The authors did not publish the layers of their networks for CIFAR. `attention56-cifar` and
//! `attention92-cifar` are ours: a 3x3 stem to 32 channels, stages of 128, 256 and 512 channels with masks of 2, 1 and
//! 0 levels, and units of 1024 channels.

use super::parts::{self, bn_relu, pointwise};
use super::pre_activation::{Block, PreActivation};
use super::stages::{Names, Shortcut, Stem, StemNames};
use super::{Family, Heads, Network, Sizes};
use crate::nn::layers::{self, Init, Linear};
use crate::ops::Window;
use crate::tape::{Tape, ValueId};

/// The Residual Attention Networks for ImageNet, and ours for CIFAR.
pub static FAMILY: Family = Family {
    names: &["attention56", "attention92", "attention56-cifar", "attention92-cifar"],
    pattern: None,
    find: |name| Attention::named(name).map(|network| Box::new(network) as Box<dyn Network>),
};

/// The names of the stem, the end, and the layers of a unit. The names of units and modules stand in `record`.
const NAMES: Names = Names {
    stem: &[StemNames::with_bn("conv1.0", "conv1.1", "conv1.2")],
    shortcut: ["conv4", ""],
    last_bn: "mpool2.0",
    ..Names::TORCHVISION
};

/// Distribution of the initial weights of all convolutions.
const INIT: Init = Init::KaimingNormalFanOut;

/// A residual attention network.
#[derive(Clone, Debug)]
pub struct Attention {
    /// The network's name.
    pub name: String,
    /// A line that describes the network.
    pub description: String,
    /// Number of attention modules of each of the three stages.
    pub modules: [usize; 3],
    /// True for the variant for small images.
    pub small: bool,
    /// The units.
    unit: PreActivation,
}

impl Attention {
    /// Returns the network with this name.
    pub fn named(name: &str) -> Option<Self> {
        let (base, small) = match name.strip_suffix("-cifar") {
            Some(base) => (base, true),
            None => (name, false),
        };
        let (number, modules) = match base {
            "attention56" => (56, [1, 1, 1]),
            "attention92" => (92, [1, 2, 3]),
            _ => return None,
        };
        let images = if small {
            "for CIFAR, our reading of the unpublished network"
        } else {
            "for ImageNet"
        };
        Some(Self {
            name: name.to_string(),
            description: format!(
                "{number} layers with masks of attention, {images} (Wang et al. 2017)"
            ),
            modules,
            small,
            unit: PreActivation {
                block: Block::Strided3x3,
                shortcut: Shortcut::Projection,
                names: NAMES,
                ..PreActivation::default()
            },
        })
    }

    /// Records a unit, `[N, H, W, Ci]` to `[N, H/stride, W/stride, out_channels]`.
    pub fn record_unit(
        &self,
        tape: &mut Tape,
        name: &str,
        x: ValueId,
        out_channels: usize,
        stride: usize,
    ) -> ValueId {
        self.unit.record_block(tape, name, x, out_channels, stride)
    }

    /// Records an attention module, whose output has the shape of its input, `[N, H, W, C]`. `levels` is the number of
    /// times that the mask's branch halves the plane.
    pub fn record_module(&self, tape: &mut Tape, name: &str, x: ValueId, levels: usize) -> ValueId {
        let channels = tape.shape(x)[3];
        let of = |part: &str| format!("{name}.{part}");
        let unit =
            |tape: &mut Tape, part: &str, x| self.record_unit(tape, &of(part), x, channels, 1);
        let x = unit(tape, "first_residual_blocks", x);
        let trunk = unit(tape, "trunk_branches.0", x);
        let trunk = unit(tape, "trunk_branches.1", trunk);

        // Down: a pool and a unit for each level, two units at the bottom. `sides` has, for each level, the value that
        // the way up adds, and the size of the plane above.
        let mut y = x;
        let mut sides: Vec<(usize, Option<ValueId>, [usize; 2])> = Vec::new();
        for level in 1..=levels {
            let &[_, h, w, _] = tape.shape(y) else { unreachable!("a plane has four axes") };
            let side = (level > 1)
                .then(|| unit(tape, &format!("skip{}_connection_residual_block", level - 1), y));
            sides.push((level, side, [h, w]));
            let pool = Window::square(3, 2, 1);
            y = layers::max_pool2d(tape, &of(&format!("mpool{level}")), y, pool);
            y = match level == levels {
                true => {
                    let y = unit(tape, &format!("softmax{level}_blocks.0"), y);
                    unit(tape, &format!("softmax{level}_blocks.1"), y)
                }
                false => unit(tape, &format!("softmax{level}_blocks"), y),
            };
        }
        if levels == 0 {
            y = unit(tape, "softmax1_blocks.0", y);
            y = unit(tape, "softmax1_blocks.1", y);
        }
        // Up: a resize to the size of the level above; between two levels, the sum with the side and a unit.
        let mut part = levels.max(1);
        for (level, side, size) in sides.into_iter().rev() {
            y = layers::resize_bilinear(tape, &of(&format!("interpolation{level}")), y, size, true);
            part += 1;
            if let Some(side) = side {
                y = layers::add(tape, &of(&format!("skip{}", level - 1)), y, side);
                y = unit(tape, &format!("softmax{part}_blocks"), y);
            }
        }
        let last = if levels == 0 { 2 } else { part };
        let end = |ix: usize| of(&format!("softmax{last}_blocks.{ix}"));
        let y = bn_relu(tape, &end(0), y);
        let y = layers::conv2d(tape, &end(2), y, channels, pointwise(1, INIT));
        let y = bn_relu(tape, &end(3), y);
        let y = layers::conv2d(tape, &end(5), y, channels, pointwise(1, INIT));
        let mask = layers::sigmoid(tape, &end(6), y);
        let masked = layers::mul(tape, &of("mask"), trunk, mask);
        let y = layers::add(tape, &of("add"), masked, trunk);
        unit(tape, "last_blocks", y)
    }
}

impl Network for Attention {
    fn name(&self) -> &str {
        &self.name
    }

    fn description(&self) -> &str {
        &self.description
    }

    fn default_width(&self) -> usize {
        if self.small { 32 } else { 64 }
    }

    fn default_image(&self) -> [usize; 3] {
        if self.small { [32, 32, 3] } else { [224, 224, 3] }
    }

    fn stem(&self) -> String {
        "conv1.0.weight".to_string()
    }

    fn head(&self) -> String {
        "fc.weight".to_string()
    }

    fn record(&self, tape: &mut Tape, x: ValueId, Sizes { width, classes, .. }: Sizes) -> Heads {
        let stem = if self.small { Stem::Small } else { Stem::Large };
        let mut x = stem.record(tape, &NAMES, x, width, INIT);
        let most_levels = if self.small { 2 } else { 3 };
        for (stage, &n_modules) in self.modules.iter().enumerate() {
            let stride = if stage == 0 { 1 } else { 2 };
            let name = format!("residual_block{}", stage + 1);
            x = self.record_unit(tape, &name, x, (4 * width) << stage, stride);
            for ix in 0..n_modules {
                let number = if ix == 0 { String::new() } else { format!("_{}", ix + 1) };
                let name = format!("attention_module{}{number}", stage + 1);
                x = self.record_module(tape, &name, x, most_levels - stage);
            }
        }
        for ix in 4..=6 {
            // At the end of the network for CIFAR, the plane has 8x8 pixels and stays as it is.
            let stride = if ix == 4 && !self.small { 2 } else { 1 };
            x = self.record_unit(tape, &format!("residual_block{ix}"), x, 32 * width, stride);
        }
        let x = bn_relu(tape, NAMES.last_bn, x);
        parts::head(tape, NAMES.head, x, classes, Linear { bias: true, ..Linear::default() }).into()
    }
}
