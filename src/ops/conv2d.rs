//! Convolution in two dimensions: any kernel size, stride, zero padding and groups, with or without a bias. After
//! fusion, the forward node can also compute the max pool that follows the convolution, and mean and M2 of its output
//! for a batch norm.
//!
//! ```text
//! y[n, oy, ox, co] = bias[co] + Σ ky, kx, ci  x[n, oy·stride + ky − padding, ox·stride + kx − padding, ci]
//!                                             · weight[ky, kx, ci, co]
//! ```
//!
//! Layouts: x `[N, H, W, Ci]`, weight `[KH, KW, Ci/groups, Co]`, bias `[Co]`, y `[N, OH, OW, Co]`.
//!
//! The three nodes of a convolution are [`forward`], [`d_input`] and [`d_weight`]; the gradient of the bias is a
//! [`channel_sum`](super::channel_sum). `product.rs`, `narrow.rs`, `uneven.rs` and `winograd.rs`
//! choose the kernels on a GPU. The CPU references in `reference/` share [`im2col`]. Shaders: `shaders/conv2d/`.
//! Derivation: `docs/ops/conv2d.md`.

mod correlation;
pub mod d_input;
mod d_output;
pub mod d_weight;
pub mod forward;
pub mod im2col;
mod mean_m2;
mod narrow;
mod product;
mod reference;
mod uneven;
pub mod winograd;
mod winograd_launch;

pub use d_input::Conv2dDInput;
pub use d_weight::Conv2dDWeight;
pub use forward::Conv2dForward;

use super::{
    Case, OpTests, Window,
    batch_norm::batch_norm,
    case::{CaseInput, Fill},
    max_pool2d::max_pool2d,
    nhwc,
};
use crate::kernel::{Kernels, Shader, Target, Tile};
use crate::tape::{Tape, ValueId};
use uneven::Columns;

/// Kernel size, stride, padding and groups of a convolution.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Conv2d {
    /// Kernel size, stride, padding.
    pub window: Window,
    /// Number of groups of channels. An output channel depends only on the input channels of its group.
    pub groups: usize,
}

impl Conv2d {
    /// Returns a convolution with a square kernel, in one group.
    pub const fn square(kernel_size: usize, stride: usize, padding: usize) -> Self {
        Self { window: Window::square(kernel_size, stride, padding), groups: 1 }
    }
}

/// Records a convolution.
///
/// # Panics
/// If the shapes do not fit each other.
pub fn conv2d(
    tape: &mut Tape,
    x: ValueId,
    weight: ValueId,
    bias: Option<ValueId>,
    conv: Conv2d,
) -> ValueId {
    let op = Conv2dForward {
        conv,
        has_bias: bias.is_some(),
        pool: None,
        mean_m2: false,
        winograd: false,
    };
    let inputs: Vec<_> = [x, weight].into_iter().chain(bias).collect();
    tape.push_one(op, &inputs)
}

/// The sizes of a convolution.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct ConvGeometry {
    /// Number of images.
    pub n: usize,
    /// `[H, W]` of x.
    pub plane: [usize; 2],
    /// Number of input channels.
    pub ci: usize,
    /// `[OH, OW]` before the fused max pool.
    pub out: [usize; 2],
    /// Number of output channels.
    pub co: usize,
    /// Number of groups of channels.
    pub groups: usize,
    /// Kernel size, stride, padding.
    pub window: Window,
    /// The window of the fused max pool; 1x1 without a pool.
    pub pool: [usize; 2],
    /// `[OH, OW]` after the fused max pool.
    pub pooled: [usize; 2],
}

impl ConvGeometry {
    /// Returns the sizes of a convolution of x and weight.
    ///
    /// # Panics
    /// If the shapes of x and weight do not fit each other and the convolution.
    pub fn new(conv: &Conv2d, pool: Option<[usize; 2]>, x: &[usize], weight: &[usize]) -> Self {
        let [n, h, w, ci] = nhwc("conv2d", x);
        let Conv2d { window, groups } = *conv;
        let [kernel_h, kernel_w] = window.size;
        let co = weight.last().copied().unwrap_or(0);
        assert!(
            weight == [kernel_h, kernel_w, ci / groups, co]
                && ci % groups == 0
                && co % groups == 0
                && co > 0,
            "conv2d: x {x:?} and weight {weight:?} do not fit a {window} kernel in {groups} groups"
        );
        let out = window.output([h, w]);
        let pool = pool.unwrap_or([1, 1]);
        let pooled = [out[0] / pool[0], out[1] / pool[1]];
        assert!(pooled[0] * pooled[1] > 0, "conv2d: a pool of {pool:?} does not fit {out:?}");
        Self { n, plane: [h, w], ci, out, co, groups, window, pool, pooled }
    }

    /// Returns the number of pixels of the output before the pool, over all images.
    pub fn n_pixels(&self) -> usize {
        self.n * self.out[0] * self.out[1]
    }

    /// Returns the number of rows of the matrix product for each pixel after the pool: the number of pixels in the
    /// pool's window.
    pub fn rows_per_pixel(&self) -> usize {
        self.pool[0] * self.pool[1]
    }

    /// Returns the number of rows of the matrix product of the forward pass. A pixel that no window of the pool covers
    /// has no row.
    pub fn n_rows(&self) -> usize {
        self.n * self.pooled[0] * self.pooled[1] * self.rows_per_pixel()
    }

    pub fn ci_per_group(&self) -> usize {
        self.ci / self.groups
    }

    pub fn co_per_group(&self) -> usize {
        self.co / self.groups
    }

    /// Returns the number of floating-point operations: a multiplication and an addition for each weight and output
    /// pixel.
    pub fn flops(&self) -> u64 {
        let per_pixel = self.window.area() * self.ci_per_group() * self.co;
        2 * (self.n_pixels() * per_pixel) as u64
    }

    /// Returns the tiles that can compute a product of the convolution. With groups, all columns of a square tile are
    /// channels of one group. For narrow groups, the two register tiles differ only in the sharing of reads. `columns` is
    /// the number of channels of a group of the result.
    pub fn tiles(&self, columns: usize) -> &'static [Tile] {
        match columns.next_multiple_of(4) {
            _ if self.groups == 1 => Tile::ALL,
            _ if self.is_narrow() => &[Tile::Registers, Tile::Subgroup],
            n if n.is_multiple_of(128) => Tile::ALL,
            n if n.is_multiple_of(64) => &[Tile::Registers, Tile::Subgroup, Tile::Square64],
            _ => &[Tile::Registers, Tile::Subgroup],
        }
    }

    /// Returns the tile of a product with `rows` rows, and with `columns` columns for each group; registers if none of
    /// [`ConvGeometry::tiles`] is the target's choice.
    pub fn tile(&self, rows: usize, columns: usize, target: &Target) -> Tile {
        let tile = target.tile(rows, columns);
        if self.tiles(columns).contains(&tile) { tile } else { Tile::Registers }
    }

    /// Returns true if the naive kernels compute the convolution on the target: by choice, or because uneven groups have
    /// a fused pool, or because their padded copies are too large.
    pub fn is_naive(&self, target: &Target) -> bool {
        let has_copies = [Columns::X, Columns::Y].map(|of| self.with_padded_groups(of).is_some());
        target.kernels == Kernels::Naive || self.is_uneven() && has_copies != [true, true]
    }

    /// Returns a shader with the constants of `shaders/conv2d/geometry.wgsl`.
    pub fn shader(&self, path: &'static str) -> Shader {
        Shader::new(path).constants(&self.window.constants()).constants(&[
            ("N", self.n),
            ("H", self.plane[0]),
            ("W", self.plane[1]),
            ("CI", self.ci),
            ("OH", self.out[0]),
            ("OW", self.out[1]),
            ("CO", self.co),
            ("GROUPS", self.groups),
            ("POOL_H", self.pool[0]),
            ("POOL_W", self.pool[1]),
            ("POOLED_H", self.pooled[0]),
            ("POOLED_W", self.pooled[1]),
        ])
    }

    /// Returns the attributes of a convolution's node as text, which listings of the tape show.
    pub fn attributes(conv: &Conv2d, pool: Option<[usize; 2]>) -> String {
        let groups = match conv.groups {
            1 => String::new(),
            groups => format!(", {groups} groups"),
        };
        let pool = pool.map_or(String::new(), |[h, w]| format!(", max pool {h}x{w}"));
        format!("{}{groups}{pool}", conv.window)
    }
}

/// Returns the shader file `vec4`, with access to four channels at a time, for a multiple of 4 channels. Otherwise
/// returns `scalar`, the file for any number of channels.
pub(super) fn by_fours(channels: usize, vec4: &'static str, scalar: &'static str) -> &'static str {
    if channels.is_multiple_of(4) { vec4 } else { scalar }
}

/// The op's name and its test cases.
pub const ENTRY: OpTests = OpTests { stem: "conv2d", cases };

/// Returns a case of x `[N, H, W, Ci]` and `co` output channels. `pool` is the window size of a max pool, which fusion
/// adds to the convolution.
fn case(x: [usize; 4], co: usize, conv: Conv2d, bias: bool, pool: Option<usize>) -> Case {
    let [kernel_h, kernel_w] = conv.window.size;
    let ci_per_group = x[3] / conv.groups;
    let name = format!("{x:?} -> {co}, {}, bias {bias}", ConvGeometry::attributes(&conv, None));
    let name = pool.map_or(name.clone(), |size| format!("{name}, fused max pool {size}"));
    // The longest sum belongs to the gradient of the weight, with a term for each pixel, or to y or d_x, with a term
    // for each kernel position and channel.
    let reduction = (x[0] * x[1] * x[2]).max(kernel_h * kernel_w * x[3].max(co));
    let case = Case::new(name, reduction, move |tape, inputs| {
        let y = conv2d(tape, inputs[0], inputs[1], inputs.get(2).copied(), conv);
        match pool {
            None => vec![y],
            Some(size) => vec![max_pool2d(tape, y, Window::square(size, size, 0))],
        }
    });
    let weight = [kernel_h, kernel_w, ci_per_group, co];
    let n_fused = usize::from(pool.is_some()) + usize::from(winograd::fits(&conv, &weight));
    let case =
        case.fused(n_fused).real("x", &x, Fill::Normal).real("weight", &weight, Fill::Normal);
    if bias { case.real("bias", &[co], Fill::Normal) } else { case }
}

/// Returns a case of a convolution, a 2x2 max pool if `pool` is true, and a batch norm. After fusion, the convolution
/// computes mean and M2 for the batch norm.
fn norm_case(x: [usize; 4], co: usize, conv: Conv2d, bias: bool, pool: bool) -> Case {
    let Case { name, inputs, reduction, .. } = case(x, co, conv, bias, None);
    let name = format!("{name}{}, mean_m2", if pool { ", fused max pool 2" } else { "" });
    let mut case = Case::new(name, reduction, move |tape, inputs| {
        let [gamma, beta] = [inputs[2], inputs[3]];
        let mut y = conv2d(tape, inputs[0], inputs[1], inputs.get(4).copied(), conv);
        if pool {
            y = max_pool2d(tape, y, Window::square(2, 2, 0));
        }
        vec![batch_norm(tape, y, gamma, beta, 1e-5).y]
    });
    let winograd = winograd::fits(&conv, &inputs[1].shape);
    case = case.fused(1 + usize::from(pool) + usize::from(winograd));
    let mut inputs = inputs.into_iter();
    case.inputs.extend(inputs.by_ref().take(2));
    case = case.real("gamma", &[co], Fill::Normal).real("beta", &[co], Fill::Normal);
    // Batch norm subtracts the bias again, so the gradient of the bias is rounding error alone, and tests do not check
    // it.
    case.inputs.extend(inputs.map(|bias| CaseInput { differentiate: false, ..bias }));
    case
}

fn cases() -> Vec<Case> {
    let same = Conv2d::square(3, 1, 1);
    let grouped = |groups, stride| Conv2d { groups, ..Conv2d::square(3, stride, 1) };
    let uneven = Window { size: [3, 2], stride: [2, 1], padding: [0, 1] };
    let row = Window { size: [1, 7], stride: [1, 1], padding: [0, 3] };
    let column = Window { size: [7, 1], stride: [1, 1], padding: [3, 0] };
    vec![
        case([2, 6, 7, 3], 8, same, false, None),
        case([3, 5, 6, 8], 20, same, true, None),
        case([2, 4, 4, 20], 12, same, false, None),
        case([2, 7, 5, 5], 7, same, true, None),
        case([2, 9, 8, 4], 6, Conv2d::square(5, 2, 2), true, None),
        case([2, 7, 7, 6], 18, Conv2d::square(1, 2, 0), false, None),
        case([1, 6, 9, 3], 5, Conv2d { window: uneven, groups: 1 }, false, None),
        case([2, 6, 5, 8], 12, grouped(4, 1), true, None),
        case([2, 7, 6, 6], 6, grouped(6, 2), false, None),
        case([2, 6, 8, 8], 12, same, false, Some(2)),
        ties(),
        case([3, 7, 5, 3], 20, same, false, Some(2)),
        case([2, 7, 9, 5], 6, same, false, Some(2)),
        case([2, 6, 7, 4], 8, same, false, Some(3)),
        case([2, 5, 7, 4], 4, grouped(2, 1), false, Some(2)),
        // Shapes with split-K, in the forward pass or in the gradient of the weight.
        case([1, 5, 6, 60], 60, same, false, None),
        case([3, 14, 13, 4], 8, same, false, None),
        case([3, 14, 13, 4], 20, same, false, None),
        // With mean and M2. All partitions of the pixels are full, and there are more channels than a tile has columns.
        norm_case([5, 8, 16, 4], 132, same, false, false),
        // There are more partitions than one invocation merges. The last partition has one row less than the others.
        norm_case([3, 25, 29, 2], 6, Conv2d::square(1, 1, 0), true, false),
        // With a pool. The only partition has one pixel less than a full partition, and there are more channels than a
        // tile has columns.
        norm_case([3, 10, 2, 3], 133, same, false, true),
        // Split-K, where a separate dispatch computes mean and M2.
        norm_case([1, 5, 6, 60], 60, same, false, false),
        // Groups of 1, 2, 4, 8 and 16 channels, with more and fewer channels than the CPU device has lanes.
        case([2, 6, 7, 20], 20, grouped(20, 1), true, None),
        case([2, 7, 6, 6], 6, Conv2d { groups: 6, ..Conv2d::square(5, 2, 2) }, false, None),
        case([1, 9, 7, 24], 24, grouped(12, 1), false, None),
        case([2, 9, 8, 24], 24, grouped(6, 2), true, None),
        case([1, 7, 9, 32], 32, grouped(4, 1), false, None),
        case([1, 9, 7, 32], 32, grouped(2, 2), false, None),
        // A stem of few channels, also with mean and M2, of whole partitions and of others; kernels of 1x1, of one row
        // and of one column.
        norm_case([2, 4, 64, 3], 16, same, false, false),
        norm_case([2, 7, 9, 3], 16, same, true, false),
        case([1, 13, 15, 3], 32, Conv2d::square(7, 2, 3), true, None),
        case([2, 5, 6, 20], 12, Conv2d::square(1, 1, 0), true, None),
        case([1, 6, 9, 5], 6, Conv2d { window: row, groups: 1 }, false, None),
        case([1, 9, 6, 5], 6, Conv2d { window: column, groups: 1 }, false, None),
        // Winograd's algorithm: odd sizes and channels, other paddings, pools, and mean and M2 of whole tasks or not.
        case([2, 13, 11, 65], 127, same, true, None),
        case([2, 13, 12, 64], 129, Conv2d::square(3, 1, 0), false, None),
        case([2, 11, 10, 130], 64, Conv2d::square(3, 1, 2), true, None),
        case([2, 16, 12, 64], 129, same, false, Some(2)),
        case([3, 11, 13, 66], 128, same, false, Some(2)),
        norm_case([3, 16, 16, 64], 130, same, true, false),
        norm_case([3, 16, 16, 64], 130, same, false, true),
        norm_case([3, 9, 11, 64], 129, same, false, false),
        // Several parts of the sums of the gradient of the weight, and rows of zeros in each.
        case([5, 17, 18, 64], 128, same, false, None),
        // The same with a pool.
        case([5, 18, 18, 64], 128, same, false, Some(2)),
        // Two images begin at a multiple of 256 bytes, so an adapter with small bindings has chunks of two.
        case([5, 9, 9, 96], 128, same, false, None),
    ]
    .into_iter()
    .chain(family_cases())
    .chain(dense_cases())
    .collect()
}

/// Returns cases in one group that the CPU device computes directly, and their neighbours, which it computes by matrix
/// products: those of more than 48 channels (64 for the gradient of the weight), and of rows that tiles do not fit.
fn dense_cases() -> Vec<Case> {
    let same = Conv2d::square(3, 1, 1);
    let strided = Conv2d::square(3, 2, 1);
    let line = Window { size: [1, 7], stride: [1, 1], padding: [0, 3] };
    vec![
        // Planes that tiles of 16, 14, 8 and 7 pixels cover, for blocks of one, two and three vectors of channels. The
        // last block has channels for all lanes or not.
        case([1, 4, 32, 16], 16, same, false, None),
        case([2, 3, 14, 13], 16, same, true, None),
        case([1, 5, 24, 11], 9, same, false, None),
        case([2, 7, 7, 16], 32, same, false, None),
        case([2, 3, 8, 30], 29, same, false, None),
        case([1, 6, 21, 48], 48, same, false, None),
        case([2, 9, 15, 40], 41, same, true, None),
        case([2, 8, 4, 64], 64, same, false, None),
        case([1, 5, 4, 33], 12, same, false, None),
        case([2, 9, 13, 24], 20, strided, true, None),
        case([2, 16, 16, 16], 32, strided, false, None),
        case([1, 9, 14, 32], 64, Conv2d::square(5, 2, 2), false, None),
        norm_case([4, 8, 16, 20], 40, same, true, false),
        norm_case([3, 7, 13, 16], 24, strided, false, false),
        // Fused pools, whose windows cover all pixels or not.
        case([3, 8, 14, 16], 24, same, false, Some(2)),
        case([2, 9, 15, 20], 32, strided, false, Some(2)),
        case([1, 7, 15, 33], 48, same, false, Some(3)),
        norm_case([4, 16, 16, 16], 32, same, false, true),
        // Matrix products where the direct convolution would have tiles without use, or its gradient of the weight too few
        // pixels.
        case([2, 9, 17, 40], 41, same, true, None),
        case([1, 5, 2, 33], 80, same, false, None),
        // Matrix products, with a stride, a pool, and mean and M2.
        case([1, 5, 6, 68], 68, same, true, None),
        case([2, 7, 6, 68], 72, strided, false, None),
        case([2, 7, 9, 68], 68, same, false, Some(2)),
        norm_case([3, 9, 8, 68], 68, same, false, false),
        norm_case([5, 8, 16, 68], 68, same, false, true),
        case([1, 6, 9, 68], 70, Conv2d { window: line, groups: 1 }, false, None),
    ]
}

/// Returns cases with the groups, strides and kernels of the networks, on small and uneven planes.
fn family_cases() -> Vec<Case> {
    let grouped = |groups, kernel_size, stride| {
        let padding = kernel_size / 2;
        Conv2d { groups, ..Conv2d::square(kernel_size, stride, padding) }
    };
    let line =
        |size, padding| Conv2d { window: Window { size, stride: [1, 1], padding }, groups: 1 };
    vec![
        // Strides, where d_input divides the pixels into phases. The first has split-K, and the third has phases without
        // a term.
        case([1, 7, 6, 60], 60, Conv2d::square(3, 2, 1), false, None),
        case([3, 9, 8, 8], 12, Conv2d::square(3, 2, 1), true, None),
        case([2, 6, 7, 12], 8, Conv2d::square(1, 2, 0), false, None),
        case([2, 13, 14, 3], 8, Conv2d::square(7, 2, 3), false, None),
        case([2, 10, 8, 8], 12, Conv2d::square(5, 3, 2), false, None),
        case([2, 6, 9, 8], 8, line([1, 7], [0, 3]), false, None),
        case([2, 9, 6, 8], 8, line([7, 1], [3, 0]), false, None),
        // Narrow groups, of 4, 2 and 1 channels.
        case([2, 9, 11, 16], 16, grouped(4, 3, 1), true, None),
        case([2, 9, 12, 8], 8, grouped(2, 3, 2), false, None),
        case([3, 7, 5, 16], 16, grouped(8, 3, 2), false, None),
        case([2, 6, 9, 6], 6, grouped(3, 3, 1), false, None),
        case([1, 40, 14, 8], 8, grouped(8, 3, 1), true, None),
        case([2, 11, 9, 36], 36, grouped(36, 5, 2), false, None),
        case([2, 8, 8, 5], 5, grouped(5, 3, 1), false, None),
        norm_case([3, 9, 8, 8], 8, grouped(2, 3, 1), false, false),
        // Groups that are padded to 4 channels.
        case([2, 6, 9, 9], 9, grouped(3, 3, 1), true, None),
        case([1, 7, 6, 5], 10, grouped(5, 3, 2), false, None),
        // The CPU device packs rows of seven blocks together, and of four for the last task; of four and one with 7x7.
        case([2, 14, 14, 400], 400, grouped(400, 3, 2), false, None),
        case([4, 7, 7, 208], 208, grouped(13, 7, 1), false, None),
        // Few pixels, for which a GPU has up to 64 invocations along the channels.
        case([1, 2, 3, 68], 128, Conv2d::square(3, 1, 1), true, None),
        case([2, 4, 4, 96], 72, Conv2d::square(3, 2, 1), false, None),
        case([1, 3, 3, 64], 64, grouped(8, 3, 1), false, None),
        norm_case([2, 3, 5, 64], 96, Conv2d::square(3, 1, 1), true, false),
        // Wider groups. Those of the last two fill tiles of 64 and of 128 columns.
        case([2, 6, 7, 16], 16, grouped(2, 3, 1), true, None),
        case([2, 7, 6, 16], 32, grouped(2, 3, 2), false, None),
        case([2, 5, 6, 48], 48, grouped(2, 1, 2), false, None),
        norm_case([3, 9, 8, 32], 32, grouped(2, 3, 1), false, false),
        case([2, 6, 6, 32], 32, grouped(2, 3, 1), false, Some(2)),
        case([2, 7, 5, 128], 128, grouped(2, 3, 2), false, None),
        case([2, 5, 5, 256], 256, grouped(2, 1, 1), false, None),
        // Uneven groups, which are padded: of 5 and 6 channels, and of 25.
        case([2, 7, 5, 15], 18, grouped(3, 3, 2), true, None),
        norm_case([2, 9, 8, 50], 50, grouped(2, 3, 1), false, false),
        // Groups of 28, which are padded to 32 for more sharing, and of 24, whose weight's gradient has two splits of an
        // odd number of blocks of rows.
        case([2, 6, 5, 56], 56, grouped(2, 3, 1), true, None),
        case([1, 23, 25, 48], 48, grouped(2, 3, 1), false, None),
        // Groups of 50 channels are blocks of 32 and of 18 channels on the CPU device.
        case([1, 6, 7, 100], 100, grouped(2, 3, 1), false, None),
    ]
}

/// Returns a case whose inputs are multiples of 0.5. Windows of the fused pool have several equal maxima, and the sums
/// are exact.
fn ties() -> Case {
    let mut case = case([2, 6, 8, 8], 12, Conv2d::square(1, 1, 0), false, Some(2));
    case.name += ", ties";
    case.inputs.iter_mut().for_each(|input| input.fill = Fill::Coarse);
    case
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::{ElementType, Mode};

    #[test]
    fn shape_rule() {
        let geometry =
            ConvGeometry::new(&Conv2d::square(7, 2, 3), None, &[2, 33, 31, 3], &[7, 7, 3, 8]);
        assert_eq!(geometry.out, [17, 16]);
        assert_eq!(geometry.flops(), 2 * 2 * 17 * 16 * 49 * 3 * 8);
    }

    #[test]
    #[should_panic(expected = "do not fit a 3x3")]
    fn refuses_a_weight_of_other_channels() {
        let mut tape = Tape::new("test", Mode::Train);
        let x = tape.input("x", ElementType::F32, &[2, 8, 8, 4]);
        let weight = tape.input("weight", ElementType::F32, &[3, 3, 3, 8]);
        conv2d(&mut tape, x, weight, None, Conv2d::square(3, 1, 1));
    }
}
