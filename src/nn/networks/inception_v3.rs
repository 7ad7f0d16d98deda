//! Inception v3 (Szegedy et al. 2015, "Rethinking the Inception architecture"), as torchvision has it. The sizes are
//! those of images of 299x299 pixels.
//!
//! ```text
//! Conv2d_1a, 2a, 2b  3x3 to 32 (stride 2), 32, 64; max pool 3x3 with stride 2    73 x 73
//! Conv2d_3b, 4a      1x1 to 80, 3x3 to 192; max pool 3x3 with stride 2           35 x 35
//! Mixed_5b - 5d      modules A, to 256, 288, 288 channels                        35 x 35
//! Mixed_6a           module B, to 768 channels, halves the plane                 17 x 17
//! Mixed_6b - 6e      modules C, with 1x7 and 7x1 convolutions                    17 x 17
//! Mixed_7a           module D, to 1280 channels, halves the plane                 8 x 8
//! Mixed_7b, 7c       modules E, to 2048 channels                                  8 x 8
//! fc                 mean over the plane, dropout 0.5, linear -> classes
//! ```
//!
//! As in GoogLeNet, a module concatenates the results of parallel branches, and each convolution has a batch norm (with
//! eps 0.001) and a ReLU. Here two 3x3 convolutions stand for a 5x5 one, and a 1x7 and a 7x1 convolution for a 7x7 one,
//! because they see as many pixels with fewer weights. Convolutions without padding make the plane smaller, so the
//! smallest images have 75x75 pixels.
//!
//! The auxiliary head stands after Mixed_6e; its loss counts 0.4. It needs a plane of 17x17 pixels. Evaluation does not
//! run it.

use super::googlenet::conv_bn_relu;
use super::parts::scaled;
use super::{Family, Heads, ImageRule, Network, Sizes};
use crate::nn::layers::{self, Conv, Init, Linear};
use crate::ops::Window;
use crate::tape::{Tape, ValueId};

/// Inception v3.
pub static FAMILY: Family = Family { names: &["inception_v3"], pattern: None, find };

fn find(name: &str) -> Option<Box<dyn Network>> {
    (name == "inception_v3").then(|| Box::new(InceptionV3::default()) as Box<dyn Network>)
}

/// The network.
#[derive(Clone, Copy, Debug)]
pub struct InceptionV3 {
    /// Probability of dropout before the last layer.
    pub dropout: f32,
}

impl Default for InceptionV3 {
    /// Returns the network with torchvision's dropout.
    fn default() -> Self {
        Self { dropout: 0.5 }
    }
}

/// Number of channels of the first layer in the published network.
const WIDTH: usize = 32;

/// The factor of the loss of the auxiliary head.
const AUXILIARY: f32 = 0.4;

/// Number of rows, and of columns, of the smallest images for which the auxiliary head's 5x5 convolution fits.
const SMALLEST_WITH_AUXILIARY: usize = 299;

/// Distribution of the initial weights.
const INIT: Init = Init::Normal { standard_deviation: 0.1 };

/// A convolution of a branch: its name, number of output channels, kernel `[KH, KW]`, and stride. With stride 1, the
/// padding keeps the size of the plane; with stride 2 there is no padding.
type Step = (&'static str, usize, [usize; 2], usize);

/// Records a convolution with a batch norm and a ReLU.
fn step(
    tape: &mut Tape,
    module: &str,
    x: ValueId,
    (name, channels, kernel, stride): Step,
    width: usize,
) -> ValueId {
    let padding = if stride == 1 { kernel.map(|size| size / 2) } else { [0, 0] };
    let window = Window { size: kernel, stride: [stride; 2], padding };
    let conv = Conv { window, init: INIT, ..Conv::default() };
    conv_bn_relu(tape, &format!("{module}.{name}"), x, scaled(channels, width, WIDTH), conv)
}

/// Records a branch: convolutions one after another.
fn branch(tape: &mut Tape, module: &str, x: ValueId, steps: &[Step], width: usize) -> ValueId {
    steps.iter().fold(x, |x, &conv| step(tape, module, x, conv, width))
}

/// Records the branch with a 3x3 average pool, whose padding counts in the mean, and a 1x1 convolution.
fn pool_branch(
    tape: &mut Tape,
    module: &str,
    x: ValueId,
    channels: usize,
    width: usize,
) -> ValueId {
    let x = layers::avg_pool2d(tape, &format!("{module}.pool"), x, Window::square(3, 1, 1), true);
    step(tape, module, x, ("branch_pool", channels, [1, 1], 1), width)
}

fn concat(tape: &mut Tape, module: &str, branches: &[ValueId]) -> ValueId {
    layers::concat(tape, &format!("{module}.concat"), branches)
}

fn max_pool(tape: &mut Tape, name: &str, x: ValueId) -> ValueId {
    layers::max_pool2d(tape, name, x, Window::square(3, 2, 0))
}

/// Records a module A; `pooled` is the number of channels of its last branch. All numbers of channels are those of the
/// published network, for which `width` is 32.
pub fn module_a(tape: &mut Tape, name: &str, x: ValueId, pooled: usize, width: usize) -> ValueId {
    let branch1x1 = step(tape, name, x, ("branch1x1", 64, [1, 1], 1), width);
    let steps = [("branch5x5_1", 48, [1, 1], 1), ("branch5x5_2", 64, [5, 5], 1)];
    let branch5x5 = branch(tape, name, x, &steps, width);
    let steps = [
        ("branch3x3dbl_1", 64, [1, 1], 1),
        ("branch3x3dbl_2", 96, [3, 3], 1),
        ("branch3x3dbl_3", 96, [3, 3], 1),
    ];
    let branch3x3 = branch(tape, name, x, &steps, width);
    let pool = pool_branch(tape, name, x, pooled, width);
    concat(tape, name, &[branch1x1, branch5x5, branch3x3, pool])
}

/// Records a module B, which halves the plane.
pub fn module_b(tape: &mut Tape, name: &str, x: ValueId, width: usize) -> ValueId {
    let branch3x3 = step(tape, name, x, ("branch3x3", 384, [3, 3], 2), width);
    let steps = [
        ("branch3x3dbl_1", 64, [1, 1], 1),
        ("branch3x3dbl_2", 96, [3, 3], 1),
        ("branch3x3dbl_3", 96, [3, 3], 2),
    ];
    let double = branch(tape, name, x, &steps, width);
    let pool = max_pool(tape, &format!("{name}.pool"), x);
    concat(tape, name, &[branch3x3, double, pool])
}

/// Records a module C; `inner` is the number of channels inside its branches of 1x7 and 7x1 convolutions.
pub fn module_c(tape: &mut Tape, name: &str, x: ValueId, inner: usize, width: usize) -> ValueId {
    let branch1x1 = step(tape, name, x, ("branch1x1", 192, [1, 1], 1), width);
    let steps = [
        ("branch7x7_1", inner, [1, 1], 1),
        ("branch7x7_2", inner, [1, 7], 1),
        ("branch7x7_3", 192, [7, 1], 1),
    ];
    let branch7x7 = branch(tape, name, x, &steps, width);
    let steps = [
        ("branch7x7dbl_1", inner, [1, 1], 1),
        ("branch7x7dbl_2", inner, [7, 1], 1),
        ("branch7x7dbl_3", inner, [1, 7], 1),
        ("branch7x7dbl_4", inner, [7, 1], 1),
        ("branch7x7dbl_5", 192, [1, 7], 1),
    ];
    let double = branch(tape, name, x, &steps, width);
    let pool = pool_branch(tape, name, x, 192, width);
    concat(tape, name, &[branch1x1, branch7x7, double, pool])
}

/// Records a module D, which halves the plane.
pub fn module_d(tape: &mut Tape, name: &str, x: ValueId, width: usize) -> ValueId {
    let steps = [("branch3x3_1", 192, [1, 1], 1), ("branch3x3_2", 320, [3, 3], 2)];
    let branch3x3 = branch(tape, name, x, &steps, width);
    let steps = [
        ("branch7x7x3_1", 192, [1, 1], 1),
        ("branch7x7x3_2", 192, [1, 7], 1),
        ("branch7x7x3_3", 192, [7, 1], 1),
        ("branch7x7x3_4", 192, [3, 3], 2),
    ];
    let branch7x7 = branch(tape, name, x, &steps, width);
    let pool = max_pool(tape, &format!("{name}.pool"), x);
    concat(tape, name, &[branch3x3, branch7x7, pool])
}

/// Records a module E, two branches of which end in a 1x3 and a 3x1 convolution side by side.
pub fn module_e(tape: &mut Tape, name: &str, x: ValueId, width: usize) -> ValueId {
    let branch1x1 = step(tape, name, x, ("branch1x1", 320, [1, 1], 1), width);
    let y = step(tape, name, x, ("branch3x3_1", 384, [1, 1], 1), width);
    let branch3x3a = step(tape, name, y, ("branch3x3_2a", 384, [1, 3], 1), width);
    let branch3x3b = step(tape, name, y, ("branch3x3_2b", 384, [3, 1], 1), width);
    let steps = [("branch3x3dbl_1", 448, [1, 1], 1), ("branch3x3dbl_2", 384, [3, 3], 1)];
    let y = branch(tape, name, x, &steps, width);
    let double_a = step(tape, name, y, ("branch3x3dbl_3a", 384, [1, 3], 1), width);
    let double_b = step(tape, name, y, ("branch3x3dbl_3b", 384, [3, 1], 1), width);
    let pool = pool_branch(tape, name, x, 192, width);
    concat(tape, name, &[branch1x1, branch3x3a, branch3x3b, double_a, double_b, pool])
}

/// Records the auxiliary head on x, `[N, 17, 17, C]`: a 5x5 average pool with stride 3, two convolutions, the mean over
/// the plane, and a linear layer.
pub fn auxiliary_head(tape: &mut Tape, x: ValueId, Sizes { width, classes, .. }: Sizes) -> ValueId {
    let name = "AuxLogits";
    let x = layers::avg_pool2d(tape, "AuxLogits.pool", x, Window::square(5, 3, 0), true);
    let x = step(tape, name, x, ("conv0", 128, [1, 1], 1), width);
    let conv = Conv { init: Init::Normal { standard_deviation: 0.01 }, ..Conv::square(5, 1, 0) };
    let x = conv_bn_relu(tape, "AuxLogits.conv1", x, scaled(768, width, WIDTH), conv);
    let x = layers::global_avg_pool2d(tape, "AuxLogits.mean", x);
    let x = layers::flatten(tape, "AuxLogits.flatten", x);
    let linear = Linear {
        bias: true,
        init: Init::Normal { standard_deviation: 0.001 },
        ..Linear::default()
    };
    layers::linear_with(tape, "AuxLogits.fc", x, classes, linear)
}

impl Network for InceptionV3 {
    fn name(&self) -> &str {
        "inception_v3"
    }

    fn description(&self) -> &str {
        "modules with 1x7 and 7x1 convolutions, for ImageNet (Szegedy et al. 2015)"
    }

    fn default_width(&self) -> usize {
        WIDTH
    }

    fn default_image(&self) -> [usize; 3] {
        [299, 299, 3]
    }

    fn image_rule(&self) -> ImageRule {
        ImageRule { smallest: 75, multiple_of: 1 }
    }

    fn stem(&self) -> String {
        "Conv2d_1a_3x3.conv.weight".to_string()
    }

    fn head(&self) -> String {
        "fc.weight".to_string()
    }

    fn auxiliary_prefixes(&self) -> &'static [&'static str] {
        &["AuxLogits."]
    }

    fn has_auxiliary(&self, [h, w, _]: [usize; 3]) -> bool {
        h.min(w) >= SMALLEST_WITH_AUXILIARY
    }

    fn record(&self, tape: &mut Tape, x: ValueId, sizes: Sizes) -> Heads {
        let Sizes { width, classes, auxiliary } = sizes;
        let conv =
            |size, stride, padding| Conv { init: INIT, ..Conv::square(size, stride, padding) };
        let channels = |n| scaled(n, width, WIDTH);
        let x = conv_bn_relu(tape, "Conv2d_1a_3x3", x, channels(32), conv(3, 2, 0));
        let x = conv_bn_relu(tape, "Conv2d_2a_3x3", x, channels(32), conv(3, 1, 0));
        let x = conv_bn_relu(tape, "Conv2d_2b_3x3", x, channels(64), conv(3, 1, 1));
        let x = max_pool(tape, "maxpool1", x);
        let x = conv_bn_relu(tape, "Conv2d_3b_1x1", x, channels(80), conv(1, 1, 0));
        let x = conv_bn_relu(tape, "Conv2d_4a_3x3", x, channels(192), conv(3, 1, 0));
        let x = max_pool(tape, "maxpool2", x);
        let x = module_a(tape, "Mixed_5b", x, 32, width);
        let x = module_a(tape, "Mixed_5c", x, 64, width);
        let x = module_a(tape, "Mixed_5d", x, 64, width);
        let x = module_b(tape, "Mixed_6a", x, width);
        let x = module_c(tape, "Mixed_6b", x, 128, width);
        let x = module_c(tape, "Mixed_6c", x, 160, width);
        let x = module_c(tape, "Mixed_6d", x, 160, width);
        let x = module_c(tape, "Mixed_6e", x, 192, width);
        let heads = auxiliary.then(|| (auxiliary_head(tape, x, sizes), AUXILIARY));
        let x = module_d(tape, "Mixed_7a", x, width);
        let x = module_e(tape, "Mixed_7b", x, width);
        let x = module_e(tape, "Mixed_7c", x, width);
        let x = layers::global_avg_pool2d(tape, "pool", x);
        let x = layers::flatten(tape, "flatten", x);
        let x = layers::dropout(tape, "dropout", x, self.dropout);
        let linear = Linear { bias: true, init: INIT, ..Linear::default() };
        let logits = layers::linear_with(tape, "fc", x, classes, linear);
        Heads { logits, auxiliary: heads.into_iter().collect() }
    }
}
