//! Residual networks for CIFAR whose joints a study may change: the place where a block adds its branch to its shortcut.

use wgrad::nn::layers::{self, Conv, Init, Linear};
use wgrad::nn::networks::parts;
use wgrad::nn::networks::stages::{Names, Place, changes_shape, places};
use wgrad::tape::{Tape, ValueId};

/// The place of batch norm and ReLU in a block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// Behind the convolutions, and a ReLU behind the sum (He et al. 2015).
    After,
    /// Before the convolutions, and nothing behind the sum (He et al. 2016).
    Before,
}

/// The end of a block, where its branch and its shortcut meet.
pub struct Joint<'a> {
    /// The name of the block, such as `layer1.0`.
    pub name: &'a str,
    /// The input of the block.
    pub x: ValueId,
    /// The output of the residual branch.
    pub branch: ValueId,
    /// The output of the shortcut: x, or every second row and column of x with channels of zeros.
    pub shortcut: ValueId,
}

/// A function that records the end of a block, and returns the block's output; a ReLU may follow.
pub type Join<'a> = &'a (dyn Fn(&mut Tape, &Joint<'_>) -> ValueId + Send + Sync);

/// Records the sum of branch and shortcut, the joint of a residual network.
pub fn sum(tape: &mut Tape, joint: &Joint<'_>) -> ValueId {
    layers::add(tape, joint.name, joint.branch, joint.shortcut)
}

/// Returns the branch alone, the joint of a plain network.
pub fn plain(_: &mut Tape, joint: &Joint<'_>) -> ValueId {
    joint.branch
}

/// A network of 6n + 2 layers: a stem, three stages of n blocks, and a linear layer. With [`sum`] it is `resnetN` or
/// `preactN` of the library, and with [`plain`] it is `plainN`, with the same names and initial weights.
pub struct Residual<'a> {
    /// The place of batch norm and ReLU.
    pub order: Order,
    /// The number of blocks of each stage.
    pub n_blocks: usize,
    /// True for a network with batch norm.
    pub has_batch_norm: bool,
    /// The end of each block.
    pub join: Join<'a>,
}

/// The values of a recorded network.
pub struct Recorded {
    /// The logits, `[N, classes]`.
    pub logits: ValueId,
    /// The name of each block.
    pub names: Vec<String>,
    /// The input of each block, and then the output of the last one, `[N, H, W, C]`.
    pub states: Vec<ValueId>,
    /// The output of each block's residual branch.
    pub branches: Vec<ValueId>,
}

impl Residual<'_> {
    /// Returns the order and the number of blocks in each stage of the network with this name: `resnetN` or `preactN`
    /// with N = 6n + 2. Returns none for other networks.
    pub fn find(name: &str) -> Option<(Order, usize)> {
        let (order, network) = match name.strip_prefix("resnet") {
            Some(number) => (Order::After, number),
            None => (Order::Before, name.strip_prefix("preact")?),
        };
        let depth: usize = network.parse().ok()?;
        // The library's networks with these names have other blocks.
        let is_other = matches!(depth, 18 | 34 | 50 | 101 | 152 | 164 | 1001);
        let n_blocks = depth.checked_sub(2)? / 6;
        (depth == 6 * n_blocks + 2 && n_blocks > 0 && !is_other).then_some((order, n_blocks))
    }

    /// Records the network on images `x`, `[N, H, W, C]`.
    pub fn record(&self, tape: &mut Tape, x: ValueId, width: usize, classes: usize) -> Recorded {
        let conv = Conv { init: self.init(), ..Conv::default() };
        let mut x = layers::conv2d(tape, "conv1", x, width, conv);
        if self.order == Order::After {
            x = self.batch_norm(tape, "bn1", x);
            x = layers::relu(tape, "relu", x);
        }
        let (mut names, mut states, mut branches) = (Vec::new(), vec![x], Vec::new());
        for at in places(&[self.n_blocks; 3], width) {
            let name = (Names::CIFAR.block)(at.stage, at.ix);
            let [branch, y] = self.block(tape, &name, x, at);
            branches.push(branch);
            names.push(name);
            states.push(y);
            x = y;
        }
        if self.order == Order::Before {
            x = self.batch_norm(tape, "bn", x);
            x = layers::relu(tape, "bn.relu", x);
        }
        let init = if self.order == Order::After { Init::KaimingNormal } else { Init::Uniform };
        let linear = Linear { bias: true, init, ..Linear::default() };
        let logits = parts::head(tape, "linear", x, classes, linear);
        Recorded { logits, names, states, branches }
    }

    /// Records a block. Returns the output of its branch, and that of the block.
    fn block(&self, tape: &mut Tape, name: &str, x: ValueId, at: Place) -> [ValueId; 2] {
        let (mut y, mut activated) = (x, x);
        for layer in 1..=2 {
            let [conv, bn] = [format!("{name}.conv{layer}"), format!("{name}.bn{layer}")];
            let stride = if layer == 1 { at.stride } else { 1 };
            let setting = Conv { init: self.init(), ..Conv::square(3, stride, 1) };
            if self.order == Order::Before {
                y = self.batch_norm(tape, &bn, y);
                y = layers::relu(tape, &format!("{bn}.relu"), y);
            }
            if layer == 1 {
                activated = y;
            }
            y = layers::conv2d(tape, &conv, y, at.planes, setting);
            if self.order == Order::After {
                y = self.batch_norm(tape, &bn, y);
                if layer == 1 {
                    y = layers::relu(tape, &format!("{name}.relu1"), y);
                }
            }
        }
        let branch = y;
        let shortcut = match changes_shape(tape, x, at.planes, at.stride) {
            true => {
                let x = if self.order == Order::Before { activated } else { x };
                let scope = format!("{name}.shortcut");
                parts::padded_shortcut(tape, &scope, x, at.planes, at.stride)
            }
            false => x,
        };
        let mut y = (self.join)(tape, &Joint { name, x, branch, shortcut });
        if self.order == Order::After {
            y = layers::relu(tape, &format!("{name}.relu2"), y);
        }
        [branch, y]
    }

    fn batch_norm(&self, tape: &mut Tape, name: &str, x: ValueId) -> ValueId {
        if self.has_batch_norm { layers::batch_norm(tape, name, x) } else { x }
    }

    fn init(&self) -> Init {
        match self.order {
            Order::After => Init::KaimingNormal,
            Order::Before => Init::KaimingNormalFanOut,
        }
    }
}
