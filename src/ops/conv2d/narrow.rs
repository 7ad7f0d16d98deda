//! Convolutions with narrow groups: 1, 2 or 4 input channels and as many output channels in each group, and on a
//! software adapter 8, or 16 in the gradient of the input with a stride.
//!
//! `shaders/conv2d/forward_narrow.wgsl` and `d_weight_narrow.wgsl` compute them. Four output channels that begin at a
//! multiple of 4 depend on the four input channels with the same numbers, or on all of their group. An invocation
//! computes four channels of a block of pixels, and reads the pixels of the source under the block once.

use super::product::{channel_lanes, with_lanes};
use super::{ConvGeometry, by_fours};
use crate::kernel::launch::grid_of_workgroups;
use crate::kernel::{Shader, Target, Tile};

/// Number of pixels in a run on a software adapter. llvmpipe compiles each read and each store of a vector into about 2
/// KiB of machine code, and a run of eight pixels exceeds the 32 KiB of a processor's instruction cache. The multiply-adds
/// of a pixel grow with the channels of a group, so groups of 8 and 16 channels have shorter runs.
const RUN: usize = 4;
/// Least number of output pixels for which groups of 8 and 16 channels are computed in blocks. With fewer, invocations
/// have no block, or a small one: on llvmpipe groups of 8 took 1.1 times as long as in the product with 64 pixels, and
/// 0.9 times with 256.
const MIN_PIXELS: usize = 256;

impl ConvGeometry {
    /// Returns true if the groups are narrow.
    pub fn is_narrow(&self) -> bool {
        let sizes = [self.ci_per_group(), self.co_per_group()];
        self.groups > 1 && [[1, 1], [2, 2], [4, 4]].contains(&sizes)
    }

    /// Returns true if the kernel of narrow groups computes the convolution with a tile: narrow groups, and groups of 8
    /// channels on a software adapter whose subgroups share the weights. Without sharing, reading 72 weights would be most
    /// of the code. On hardware, groups of 8 channels in blocks were not measured.
    pub(super) fn has_blocks(&self, tile: Tile, target: &Target) -> bool {
        self.is_narrow() || (self.shares_reads(tile, target) && self.fits_blocks(8, target))
    }

    /// Returns the same for the gradient of the input. With a stride, it also has blocks for groups of 16 channels: there
    /// all phases have one window.
    pub(super) fn input_has_blocks(&self, tile: Tile, target: &Target) -> bool {
        let has_phases = self.window.stride != [1, 1];
        let is_wide = has_phases && self.fits_blocks(16, target);
        self.has_blocks(tile, target) || (is_wide && self.shares_reads(tile, target))
    }

    /// Returns true if some tile of the forward pass has blocks, on an adapter with subgroups; the gradient of the weight
    /// then has them with every tile. On hardware its 288 sums would not fit the 255 registers of an NVIDIA GPU.
    pub(super) fn some_tile_has_blocks(&self, target: &Target) -> bool {
        self.is_narrow() || self.fits_blocks(8, target)
    }

    /// Returns true if the invocations of a group share reads with a tile.
    pub(super) fn shares_reads(&self, tile: Tile, target: &Target) -> bool {
        tile == Tile::Subgroup && self.group_vectors() <= target.min_subgroup_size
    }

    /// Returns true on a software adapter for 3x3 kernels, groups of `channels` input and output channels, and enough
    /// pixels.
    fn fits_blocks(&self, channels: usize, target: &Target) -> bool {
        let sizes = [self.ci_per_group(), self.co_per_group()];
        let fits = self.groups > 1 && sizes == [channels; 2];
        let fits = fits && self.window.size == [3, 3] && self.pool == [1, 1];
        target.is_software && fits && self.n_pixels() >= MIN_PIXELS
    }

    /// Returns the number of vectors of four channels of a group; 1 for groups of fewer channels.
    pub(super) fn group_vectors(&self) -> usize {
        self.ci_per_group().div_ceil(4)
    }
}

/// Planes of pixels, divided into blocks of equal size.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Blocks {
    /// Number of blocks.
    count: usize,
    /// Rows and columns of a block.
    size: [usize; 2],
}

impl Blocks {
    /// Divides the planes of `n` images into blocks of at most `most` rows and columns.
    fn new(n: usize, plane: [usize; 2], most: [usize; 2]) -> Self {
        let n_blocks = [0, 1].map(|axis| plane[axis].div_ceil(most[axis]));
        let size = [0, 1].map(|axis| plane[axis].div_ceil(n_blocks[axis]));
        Self { count: n * n_blocks[0] * n_blocks[1], size }
    }

    /// Returns the blocks of the output for the forward pass.
    pub fn of_output(g: &ConvGeometry, target: &Target) -> Self {
        let [strip, run] = most(g, target);
        // With stride 2, groups of 8 reached 28 GFLOP/s with runs of one pixel and 21 with two (llvmpipe, 2026-11-30).
        let run = if g.is_narrow() { run } else { run.div_ceil(g.window.stride[1]) };
        Self::new(g.n, g.out, [strip, run])
    }

    /// Returns the blocks of the output for the gradient of the weight. An invocation computes several blocks, so a block
    /// has as many rows as possible.
    pub fn of_sums(g: &ConvGeometry, target: &Target) -> Self {
        let [_, run] = most(g, target);
        // With stride 2, a run of two pixels of groups of 8 reads 5 columns of x, and two runs of one pixel read 6.
        let divided = target.is_software && g.is_narrow();
        let run = if divided { run.div_ceil(g.window.stride[1]) } else { run };
        Self::new(g.n, g.out, [32, run])
    }

    /// Returns the blocks of the input, for its gradient. They are blocks of cells, which have as many rows and columns of
    /// pixels as the stride.
    pub fn of_input(g: &ConvGeometry, target: &Target) -> Self {
        let [step_h, step_w] = g.window.stride;
        let cells = [g.plane[0].div_ceil(step_h), g.plane[1].div_ceil(step_w)];
        let [strip, run] = most(g, target);
        // A cell of several pixels has as many stores, so a software adapter has one cell in a run.
        let run = if target.is_software && step_w > 1 { 1 } else { run.div_ceil(step_w) };
        let strip = if target.is_software { strip } else { strip.div_ceil(step_h) };
        Self::new(g.n, cells, [strip, run])
    }

    /// Adds the constants of the blocks, and the import `trip_count` for the loop over the rows of a block.
    pub fn add_to(&self, shader: Shader, target: &Target) -> Shader {
        let [strip, run] = self.size;
        let shader = shader.import("trip_count", target.trip_count());
        shader.constants(&[("STRIP", strip), ("RUN", run)])
    }

    /// Returns the shader of a product with `channels` result channels, and the number of workgroups along each axis.
    /// The caller adds the import `operands`.
    pub fn shader(
        &self,
        g: &ConvGeometry,
        channels: usize,
        tile: Tile,
        target: &Target,
    ) -> (Shader, [u32; 3]) {
        let lanes = channel_lanes(channels);
        let sharing = g.group_vectors();
        let column_sharing = (64 / lanes).min(target.min_subgroup_size / sharing);
        let shader = g
            .shader("conv2d/forward_narrow")
            .import("weight", by_fours(channels, "conv2d/weight_vec4", "conv2d/weight_scalar"))
            .import("store_result", by_fours(channels, "conv2d/store_vec4", "conv2d/store_scalar"));
        let shader = self.add_to(shader, target).constant("CHANNEL_LANES", lanes);
        let shader = with_lanes(shader, sharing, column_sharing, tile, target);
        let [x, y, _] = grid_of_workgroups(self.count.div_ceil(64 / lanes));
        (shader, [x, y, channels.div_ceil(4 * lanes) as u32])
    }
}

/// Returns the largest number of rows and columns of a block. A larger block reads fewer numbers for each result, and a
/// software adapter takes most of its time for reads. On hardware, the block must fit the registers.
fn most(g: &ConvGeometry, target: &Target) -> [usize; 2] {
    // A group has 1, 2 or 4 vectors, so a run has 4, 2 or 1 pixels.
    if target.is_software { [16, RUN / g.group_vectors()] } else { [4, 4] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::conv2d::Conv2d;

    /// Returns whether forward, `d_input` and `d_weight` have blocks for a convolution of one image in two groups.
    fn have_blocks(
        plane: [usize; 2],
        [ci, co]: [usize; 2],
        [kernel, stride]: [usize; 2],
        pool: Option<[usize; 2]>,
        tile: Tile,
        target: &Target,
    ) -> [bool; 3] {
        let conv = Conv2d { groups: 2, ..Conv2d::square(kernel, stride, kernel / 2) };
        let x = [1, plane[0], plane[1], 2 * ci];
        let g = ConvGeometry::new(&conv, pool, &x, &[kernel, kernel, ci, 2 * co]);
        let of_input = g.input_has_blocks(tile, target);
        [g.has_blocks(tile, target), of_input, g.some_tile_has_blocks(target)]
    }

    #[test]
    fn groups_of_8_and_16_have_blocks_on_a_software_adapter_alone() {
        let hardware = Target { min_subgroup_size: 8, ..Target::default() };
        let software = Target { is_software: true, ..hardware };
        let tile = Tile::Subgroup;
        let all = [true; 3];
        let none = [false; 3];
        let on = |target| have_blocks([16, 16], [8, 8], [3, 1], None, tile, target);
        assert_eq!(on(&hardware), none, "on hardware");
        assert_eq!(on(&software), all);
        let of = |plane, sizes, window, pool, tile| {
            have_blocks(plane, sizes, window, pool, tile, &software)
        };
        assert_eq!(of([15, 17], [8, 8], [3, 1], None, tile), none, "255 pixels");
        assert_eq!(of([16, 16], [8, 8], [3, 1], Some([2, 2]), tile), none, "a pool");
        assert_eq!(of([16, 16], [8, 8], [5, 1], None, tile), none, "a 5x5 kernel");
        assert_eq!(of([16, 16], [8, 16], [3, 1], None, tile), none, "more output channels");
        assert_eq!(of([32, 32], [8, 8], [3, 2], None, tile), all, "stride 2");
        assert_eq!(of([16, 16], [16, 16], [3, 1], None, tile), none, "groups of 16");
        assert_eq!(of([32, 32], [16, 16], [3, 2], None, tile), [false, true, false], "the same");
        let registers = of([16, 16], [8, 8], [3, 1], None, Tile::Registers);
        assert_eq!(registers, [false, false, true], "without shared reads");
        let narrow = have_blocks([4, 4], [4, 4], [3, 1], None, Tile::Registers, &hardware);
        assert_eq!(narrow, all, "narrow groups");
    }

    #[test]
    fn blocks_divide_planes_evenly() {
        let blocks = |plane| {
            let Blocks { count, size, .. } = Blocks::new(2, plane, [8, 8]);
            (count, size)
        };
        assert_eq!(blocks([32, 32]), (32, [8, 8]));
        assert_eq!(blocks([14, 28]), (16, [7, 7]));
        assert_eq!(blocks([7, 1]), (2, [7, 1]));
    }
}
