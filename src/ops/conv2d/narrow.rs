//! Convolutions with narrow groups: 1, 2 or 4 input channels and as many output channels in each group.
//!
//! `shaders/conv2d/forward_narrow.wgsl` and `d_weight_narrow.wgsl` compute them. Four output channels that begin at a
//! multiple of 4 depend on the four input channels with the same numbers. An invocation computes four channels of a
//! block of pixels, and reads the pixels of the source under the block once.

use super::product::{channel_lanes, with_lanes};
use super::{ConvGeometry, by_fours};
use crate::kernel::launch::grid_of_workgroups;
use crate::kernel::{Shader, Target, Tile};

/// Number of pixels in a run on a software adapter. llvmpipe compiles each read and each store of a vector into about 2
/// KiB of machine code, and a run of eight pixels exceeds the 32 KiB of a processor's instruction cache.
const RUN: usize = 4;

impl ConvGeometry {
    /// Returns true if the groups are narrow.
    pub fn is_narrow(&self) -> bool {
        let sizes = [self.ci_per_group(), self.co_per_group()];
        self.groups > 1 && [[1, 1], [2, 2], [4, 4]].contains(&sizes)
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
        Self::new(g.n, g.out, most(target))
    }

    /// Returns the blocks of the output for the gradient of the weight. An invocation computes several blocks, so a block
    /// has as many rows as possible.
    pub fn of_sums(g: &ConvGeometry, target: &Target) -> Self {
        let run = if target.is_software { RUN.div_ceil(g.window.stride[1]) } else { 4 };
        Self::new(g.n, g.out, [32, run])
    }

    /// Returns the blocks of the input, for its gradient. They are blocks of cells, which have as many rows and columns of
    /// pixels as the stride.
    pub fn of_input(g: &ConvGeometry, target: &Target) -> Self {
        let [step_h, step_w] = g.window.stride;
        let cells = [g.plane[0].div_ceil(step_h), g.plane[1].div_ceil(step_w)];
        let [strip, run] = most(target);
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
        let shader = g
            .shader("conv2d/forward_narrow")
            .import("weight", by_fours(channels, "conv2d/weight_vec4", "conv2d/weight_scalar"))
            .import("store_result", by_fours(channels, "conv2d/store_vec4", "conv2d/store_scalar"));
        let shader = with_lanes(self.add_to(shader, target), lanes, 64 / lanes, tile, target);
        let [x, y, _] = grid_of_workgroups(self.count.div_ceil(64 / lanes));
        (shader, [x, y, channels.div_ceil(4 * lanes) as u32])
    }
}

/// Returns the largest number of rows and columns of a block. A larger block reads fewer numbers for each result, and a
/// software adapter takes most of its time for reads. On hardware, the block must fit the registers.
fn most(target: &Target) -> [usize; 2] {
    if target.is_software { [16, RUN] } else { [4, 4] }
}

#[cfg(test)]
mod tests {
    use super::*;

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
