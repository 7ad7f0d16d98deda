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
//! [`channel_sum`](super::channel_sum). `product.rs`, `narrow.rs`, `uneven.rs`, `row_positions.rs` and `winograd.rs`
//! choose the kernels on a GPU. The CPU references in `reference/` share [`im2col`]. Shaders: `shaders/conv2d/`.
//! Derivation: `docs/ops/conv2d.md`.

mod cases;
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
mod row_positions;
mod uneven;
pub mod winograd;
mod winograd_launch;

pub use d_input::Conv2dDInput;
pub use d_weight::Conv2dDWeight;
pub use forward::Conv2dForward;

use super::{OpTests, Window, nhwc};
use crate::kernel::{Kernels, Shader, Target, Tile};
use crate::tape::{Tape, ValueId};

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
    /// Number of input channels; in [`with_row_positions`](Self::with_row_positions) the number of values of x under a
    /// row of the kernel.
    pub ci: usize,
    /// Number of neighbouring pixels of x whose channels count as those of one: more than 1 only in
    /// [`with_row_positions`](Self::with_row_positions).
    pub row_pixels: usize,
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
        Self { n, plane: [h, w], ci, row_pixels: 1, out, co, groups, window, pool, pooled }
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

    /// Returns the number of input channels of a group.
    pub fn ci_per_group(&self) -> usize {
        self.ci / self.groups
    }

    /// Returns the number of output channels of a group.
    pub fn co_per_group(&self) -> usize {
        self.co / self.groups
    }

    /// Returns the number of floating-point operations: a multiplication and an addition for each weight and output
    /// pixel.
    pub fn flops(&self) -> u64 {
        let per_pixel = self.window.area() * self.ci_per_group() * self.co;
        2 * (self.n_pixels() * per_pixel) as u64
    }

    /// Returns the tiles that can compute a product of the convolution in the fast kernels; none if only the naive kernels
    /// compute it. `columns` returns the number of channels of a group of the result.
    pub fn tiles(&self, columns: impl Fn(&Self) -> usize) -> &'static [Tile] {
        self.for_fast_kernels().map_or(&[], |g| g.tiles_of(columns(&g)))
    }

    /// Returns the tiles for a product of the fast kernels with `columns` columns for each group. With groups, all columns
    /// of a square tile are channels of one group. For narrow groups, the two register tiles differ only in the sharing of
    /// reads.
    fn tiles_of(&self, columns: usize) -> &'static [Tile] {
        match columns {
            _ if self.groups == 1 => Tile::ALL,
            _ if self.is_narrow() => &[Tile::Registers, Tile::Subgroup],
            n if n.is_multiple_of(128) => Tile::ALL,
            n if n.is_multiple_of(64) => &[Tile::Registers, Tile::Subgroup, Tile::Square64],
            _ => &[Tile::Registers, Tile::Subgroup],
        }
    }

    /// Returns the tile of a product of the fast kernels with `rows` rows, and with `columns` columns for each group;
    /// registers if none of [`ConvGeometry::tiles_of`] is the target's choice.
    pub fn tile(&self, rows: usize, columns: usize, target: &Target) -> Tile {
        let tile = target.tile(rows, columns);
        if self.tiles_of(columns).contains(&tile) { tile } else { Tile::Registers }
    }

    /// Returns the convolution that the fast kernels compute: with padded groups, if the groups are uneven. Returns `None`
    /// if only the naive kernels compute the convolution: uneven groups with a fused pool, or whose padded copies of one
    /// image or of the weight are too large.
    fn for_fast_kernels(&self) -> Option<Self> {
        if self.is_uneven() { self.with_padded_groups() } else { Some(*self) }
    }

    /// Returns true if the naive kernels compute the convolution on the target: by choice, or because no other kernels do.
    pub fn is_naive(&self, target: &Target) -> bool {
        target.kernels == Kernels::Naive || self.for_fast_kernels().is_none()
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
pub const ENTRY: OpTests = OpTests { stem: "conv2d", cases: cases::cases };

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
