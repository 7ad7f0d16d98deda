//! The tiled matrix product of the forward pass and of the gradient of the input.
//!
//! A row of the product is a pixel of the result, and a column is a channel of the result. With every tile, a sum runs
//! over (ky, kx, channel) in this order. `shaders/conv2d/operands_*.wgsl` define the operands.

use super::{ConvGeometry, by_fours};
use crate::kernel::Tile;
use crate::kernel::launch::grid_of_workgroups;
use crate::kernel::{Shader, Target};

/// The sizes of a product.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Product {
    /// Number of pixels of the result.
    pub rows: usize,
    /// The number of phases, and the largest number of pixels of a phase. The forward pass has one phase of all pixels;
    /// `shaders/conv2d/rows_phases.wgsl` defines those of the gradient of the input.
    pub phases: [usize; 2],
    /// Distance of the rows ky of the kernel that have a term in the same sum.
    pub kernel_step: usize,
    /// Number of channels of the result.
    pub columns: usize,
    /// Number of channels in each sum, at each position of the kernel: those of one group.
    pub depth: usize,
    /// True if all phases have equally many terms. Then the invocations of a workgroup may have different phases.
    pub equal_phases: bool,
}

/// The division of a product among invocations.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tiling {
    /// The block of results that an invocation or a workgroup computes.
    pub tile: Tile,
    /// Number of parts into which each sum is split (split-K); 1 without split-K.
    pub n_splits: usize,
    /// True if the kernel also computes mean and M2 of the result: of partitions, or, for a register tile, of the rows
    /// of each tile.
    pub mean_m2: bool,
}

/// Number of 64 x 64 tiles below which a large GPU is partly idle.
const FEW_TILES: usize = 128;
/// Number of terms of a sum below which split-K costs more than it saves.
const MIN_TERMS: usize = 512;

impl Product {
    /// Returns the product of the forward pass.
    pub fn forward(g: &ConvGeometry) -> Self {
        let rows = g.n_rows();
        let (columns, depth) = (g.co, g.ci_per_group());
        Self { rows, phases: [1, rows], kernel_step: 1, columns, depth, equal_phases: true }
    }

    /// Returns the product of the gradient of the input.
    pub fn d_input(g: &ConvGeometry) -> Self {
        let [h, w] = g.plane;
        let [step_h, step_w] = g.window.stride;
        let phases = [step_h * step_w, g.n * h.div_ceil(step_h) * w.div_ceil(step_w)];
        let (columns, depth) = (g.ci, g.co_per_group());
        let (rows, equal_phases) = (g.n * h * w, false);
        Self { rows, phases, kernel_step: step_h, columns, depth, equal_phases }
    }

    /// Returns the 16 products of Winograd's algorithm, each of `rows` rows and `columns` columns, with `depth` terms in
    /// a sum of a split. The last two are multiples of four.
    pub fn winograd([rows, columns, depth]: [usize; 3]) -> Self {
        let phases = [16, rows];
        Self { rows: 16 * rows, phases, kernel_step: 4, columns, depth, equal_phases: true }
    }

    /// Returns the number of splits: the largest number of kernel rows that have a term in one sum, if there are few
    /// tiles and long sums, otherwise 1. The number depends on the shape alone, so every adapter adds in the same order.
    pub fn n_splits(&self, g: &ConvGeometry) -> usize {
        let n_tiles = self.rows.div_ceil(64) * self.columns.div_ceil(64);
        let n_terms = g.window.area() * self.depth;
        let n_kernel_rows = g.window.size[0].div_ceil(self.kernel_step);
        if n_tiles < FEW_TILES && n_terms >= MIN_TERMS { n_kernel_rows } else { 1 }
    }

    /// Returns the tiling for a target, for a kernel that does not compute mean and M2.
    pub fn tiling(&self, g: &ConvGeometry, target: &Target) -> Tiling {
        let tile = g.tile(self.rows, self.columns / g.groups, target);
        Tiling { tile, n_splits: self.n_splits(g), mean_m2: false }
    }

    /// Returns the shader for a target, and the number of workgroups along each axis. The caller adds the imports
    /// `operands`, `rows` and `epilogue`.
    pub fn shader(&self, g: &ConvGeometry, target: &Target, tiling: Tiling) -> (Shader, [u32; 3]) {
        self.shader_with(|path| g.shader(path), g.groups, target, tiling)
    }

    /// Returns the same as [`Self::shader`] for the products of Winograd's algorithm with `n_splits` splits. The caller
    /// adds no imports.
    pub fn winograd_shader(&self, target: &Target, n_splits: usize) -> (Shader, [u32; 3]) {
        let [_, rows] = self.phases;
        let sizes = [("OUT_W", rows), ("OUT_CHANNELS", self.columns), ("IN_CHANNELS", self.depth)];
        let tile = target.tile(self.rows, self.columns);
        let tiling = Tiling { tile, n_splits, mean_m2: false };
        let new = |path| Shader::new(path).constants(&sizes);
        let (shader, workgroups) = self.shader_with(new, 1, target, tiling);
        let shader = shader
            .import("operands", "conv2d/operands_winograd")
            .import("rows", "conv2d/rows_winograd")
            .import("epilogue", "conv2d/epilogue_store")
            .import("bias", "conv2d/bias_none");
        (shader, workgroups)
    }

    /// Returns the shader for a target, and the number of workgroups along each axis. `new` returns the shader file with
    /// the sizes of the operands as constants, and `groups` is the number of groups of channels. The caller adds the
    /// imports `operands`, `rows` and `epilogue`.
    fn shader_with(
        &self,
        new: impl Fn(&'static str) -> Shader,
        groups: usize,
        target: &Target,
        tiling: Tiling,
    ) -> (Shader, [u32; 3]) {
        let Tiling { tile, n_splits, mean_m2 } = tiling;
        let square = square(tile);
        let path = if square.is_some() { "conv2d/forward_tile" } else { "conv2d/forward" };
        let shader = new(path)
            .import("weight", by_fours(self.columns, "conv2d/weight_vec4", "conv2d/weight_scalar"))
            .import(
                "store_result",
                by_fours(self.columns, "conv2d/store_vec4", "conv2d/store_scalar"),
            )
            .constant("N_SPLITS", n_splits);
        // The rows of a workgroup, those that must be of one phase, and the number of blocks of columns.
        let (shader, rows, rows_of_phase, blocks) = match square {
            None => {
                let lanes = self.lanes(tile, groups, target);
                let emit = if mean_m2 { "conv2d/emit_tile_rows" } else { "conv2d/emit_none" };
                let shader = shader.import("trip_count", target.trip_count()).import("emit", emit);
                let rows = 64 / lanes.channels * 8;
                let rows_of_phase = if self.equal_phases { 8 * lanes.column_sharing } else { rows };
                let blocks = (groups * lanes.group_vectors).div_ceil(lanes.channels);
                (lanes.add_to(shader, tile, target), rows, rows_of_phase, blocks)
            }
            Some((import, side)) => {
                let finish = match (mean_m2, tile) {
                    (false, _) => "conv2d/finish_store",
                    (true, Tile::Square128) => "conv2d/finish_mean_m2_8x8",
                    (true, _) => "conv2d/finish_mean_m2_4x4",
                };
                let shader = shader.import("tile", import).import("finish", finish);
                (shader, side, side, self.columns.div_ceil(side))
            }
        };
        let [n_phases, n_pixels] = self.phases;
        let shader = match n_phases {
            1 => shader,
            _ => shader.constant("ROWS_MULTIPLE", rows_of_phase),
        };
        let n_rows = n_phases * n_pixels.next_multiple_of(rows_of_phase);
        let [x, y, _] = grid_of_workgroups(n_rows.div_ceil(rows));
        (shader, [x, y, (blocks * n_splits) as u32])
    }
}

impl Product {
    /// Returns the invocations of a register tile. With few rows, more of them are along the channels, up to 64, because
    /// there are no rows for the others. At most 8 of them share reads.
    fn lanes(&self, tile: Tile, groups: usize, target: &Target) -> Lanes {
        // Four blocks of rows, because a workgroup has rows for as many lanes as share weights.
        let lanes = Lanes::new(self.columns, groups, 4, tile, target);
        let n_rows = if self.equal_phases { self.rows } else { self.phases[1] };
        let row_lanes = n_rows.div_ceil(8).next_power_of_two().min(64);
        let wide = (64 / row_lanes).min((groups * lanes.group_vectors).next_power_of_two());
        if wide <= lanes.channels {
            return lanes;
        }
        let vectors = (self.columns / groups).div_ceil(4);
        let [sharing, column_sharing] = Lanes::sharing(vectors, wide, 1, tile, target);
        let group_vectors = vectors.next_multiple_of(sharing);
        Lanes { channels: wide, sharing, column_sharing, group_vectors }
    }
}

/// The numbers of invocations of a workgroup for a register tile of 8 rows x 4 channels.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Lanes {
    /// Invocations along the channels: a power of two, at most 64.
    pub channels: usize,
    /// Neighbours along the channels that share reads of their rows' operand: a power of two, at most 8, because a tile has
    /// 8 rows. All of them are of one group.
    pub sharing: usize,
    /// Invocations of the same channels that share reads of the channels' operand: a power of two, at most 4, because a
    /// step has four weights. With `sharing`, at most as many as the smallest subgroup has.
    pub column_sharing: usize,
    /// Vectors of four channels of a group, a multiple of `sharing`. The last ones may have no channel; their invocations
    /// are idle.
    pub group_vectors: usize,
}

impl Lanes {
    /// Returns the invocations for `channels` channels in groups. `blocks` is the number of blocks of eight rows.
    pub fn new(channels: usize, groups: usize, blocks: usize, tile: Tile, target: &Target) -> Self {
        let vectors = (channels / groups).div_ceil(4);
        let [sharing, column_sharing] = Self::sharing(vectors, 8, blocks, tile, target);
        let group_vectors = vectors.next_multiple_of(sharing);
        // All that share the channels' operand are in one subgroup. Without them the invocations along the channels may
        // be more, and read more contiguous numbers.
        let channels =
            if column_sharing > 1 { sharing } else { channel_lanes(4 * groups * group_vectors) };
        Self { channels, sharing, column_sharing, group_vectors }
    }

    /// Returns the fields `sharing`, at most `most` and at most 8, and `column_sharing`, at most 4, for groups of so many
    /// vectors of four channels, and for so many blocks of eight rows. Invocations that share reads of the channels'
    /// operand are in different blocks; at most one block is added to sixteen.
    ///
    /// An invocation reads 8 vectors of one operand and 4 of the other for 128 multiply-adds, each divided by the number
    /// of invocations that share them; all of these are in one subgroup. On llvmpipe the multiply-adds take about as long
    /// as one such read. The choice has the least time by this count, and the fewest idle invocations among equals.
    fn sharing(
        vectors: usize,
        most: usize,
        blocks: usize,
        tile: Tile,
        target: &Target,
    ) -> [usize; 2] {
        if tile != Tile::Subgroup {
            return [1, 1];
        }
        let sharing = [8, 4, 2, 1].into_iter();
        let choices =
            sharing.flat_map(|sharing| [4, 2, 1].map(|column_sharing| [sharing, column_sharing]));
        choices
            .filter(|[sharing, column_sharing]| {
                sharing * column_sharing <= target.min_subgroup_size
            })
            .filter(|[sharing, _]| *sharing <= most)
            .filter(|[_, column_sharing]| {
                16 * blocks.next_multiple_of(*column_sharing) <= 17 * blocks
            })
            .min_by_key(|[sharing, column_sharing]| {
                let with_idle = vectors.next_multiple_of(*sharing);
                (with_idle * (1 + 8 / sharing + 4 / column_sharing), with_idle)
            })
            .expect("one invocation fits every subgroup")
    }

    /// Adds the constants to the shader of a register tile.
    pub fn add_to(&self, shader: Shader, tile: Tile, target: &Target) -> Shader {
        let shader = shader
            .constant("GROUP_VECTORS", self.group_vectors)
            .constant("CHANNEL_LANES", self.channels);
        with_lanes(shader, self.sharing, self.column_sharing, tile, target)
    }
}

/// Returns the shader file and the side of a tile in workgroup memory; `None` for a register tile.
pub(super) fn square(tile: Tile) -> Option<(&'static str, usize)> {
    match tile {
        Tile::Registers | Tile::Subgroup => None,
        Tile::Square64 => Some(("shared/tile_4x4", 64)),
        Tile::Square128 => Some(("shared/tile_8x8", 128)),
    }
}

/// Returns the number of invocations that a workgroup has along the channels, for register tiles. Each invocation
/// computes four channels.
pub(super) fn channel_lanes(channels: usize) -> usize {
    channels.div_ceil(4).next_power_of_two().min(8)
}

/// Adds the import `lanes` to the shader of a register tile. With tile `Subgroup`, `sharing` neighbours share their reads,
/// and so do `column_sharing` invocations of the same channels; both together have at most as many as the smallest
/// subgroup has.
///
/// # Panics
/// If `tile` uses subgroups and kernels on the target cannot use them.
pub(super) fn with_lanes(
    shader: Shader,
    sharing: usize,
    column_sharing: usize,
    tile: Tile,
    target: &Target,
) -> Shader {
    assert!(target.has(tile), "{tile:?} does not run on {target:?}");
    match tile {
        Tile::Subgroup => shader
            .import("lanes", "shared/lanes_subgroup")
            .constant("SHARING_LANES", sharing)
            .constant("COLUMN_SHARING_LANES", column_sharing),
        _ => shader.import("lanes", "shared/lanes_alone"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::conv2d::Conv2d;

    fn n_splits(batch: usize, side: usize, ci: usize, co: usize) -> usize {
        let g = ConvGeometry::new(
            &Conv2d::square(3, 1, 1),
            None,
            &[batch, side, side, ci],
            &[3, 3, ci, co],
        );
        Product::forward(&g).n_splits(&g)
    }

    #[test]
    fn split_k_applies_to_few_tiles_with_long_sums() {
        assert_eq!(n_splits(512, 4, 512, 512), 1, "enough tiles");
        assert_eq!(n_splits(32, 4, 512, 512), 3);
        assert_eq!(n_splits(2, 4, 16, 16), 1, "short sums");
    }

    fn target(subgroup: usize) -> Target {
        Target { min_subgroup_size: subgroup, is_software: true, ..Target::default() }
    }

    #[test]
    fn few_rows_leave_no_invocation_idle() {
        let lanes = |rows, columns, groups, subgroup| {
            let product = Product {
                rows,
                columns,
                phases: [1, rows],
                kernel_step: 1,
                depth: 64,
                equal_phases: true,
            };
            let tile = if subgroup == 0 { Tile::Registers } else { Tile::Subgroup };
            let lanes = product.lanes(tile, groups, &target(subgroup));
            [lanes.channels, lanes.sharing, lanes.column_sharing]
        };
        assert_eq!(lanes(512, 256, 1, 8), [4, 4, 2]);
        assert_eq!(lanes(98, 256, 1, 8), [4, 4, 2]);
        assert_eq!(lanes(49, 256, 1, 8), [8, 8, 1]);
        assert_eq!(lanes(8, 1024, 1, 8), [64, 8, 1]);
        assert_eq!(lanes(8, 64, 8, 8), [16, 2, 1], "groups of 8 channels");
        assert_eq!(lanes(1, 10, 1, 8), [4, 4, 2]);
        assert_eq!(lanes(90, 20, 1, 8), [4, 2, 1], "no more invocations share than there are");
        assert_eq!(lanes(512, 256, 1, 0), [8, 1, 1]);
        assert_eq!(lanes(8, 1024, 1, 0), [64, 1, 1]);
    }

    #[test]
    fn invocations_share_reads_where_it_pays() {
        let lanes = |channels, groups, blocks, subgroup| {
            let lanes = Lanes::new(channels, groups, blocks, Tile::Subgroup, &target(subgroup));
            [lanes.sharing, lanes.column_sharing, lanes.group_vectors]
        };
        assert_eq!(lanes(32 * 16, 32, 18, 8), [4, 2, 4]);
        assert_eq!(lanes(8 * 28, 8, 64, 8), [4, 2, 8], "a vector of eight has no channel");
        assert_eq!(lanes(8 * 100, 8, 64, 8), [4, 2, 28]);
        assert_eq!(lanes(6 * 24, 6, 27, 8), [2, 4, 6], "27 blocks of rows become 28");
        assert_eq!(lanes(32 * 8, 32, 9, 8), [2, 1, 2], "9 blocks would become 10 or 12");
        assert_eq!(lanes(256, 1, 64, 32), [8, 4, 64]);
        assert_eq!(
            lanes(6 * 48, 6, 64, 32),
            [4, 4, 12],
            "eight would share as much, with idle ones"
        );
        assert_eq!(lanes(256, 1, 64, 1), [1, 1, 64]);
    }

    #[test]
    fn lanes_fit_the_channels() {
        assert_eq!([3, 4, 8, 12, 16, 20, 64].map(channel_lanes), [1, 1, 2, 4, 4, 8, 8]);
    }
}
