//! What the forward pass and the gradient of the input launch: one matrix product, cut into tiles.
//!
//! A row of the product is a pixel of what is made, a column a channel of it, and a sum runs over (ky, kx,
//! channel), in this order, whatever the tile. `shaders/conv2d/operands_*.wgsl` say what is multiplied.

use super::{Geometry, by_fours};
use crate::kernel::launch::{Tile, grid_of_workgroups};
use crate::kernel::{Shader, Target};

/// Rows and columns of a product.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Product {
    /// Pixels of what is made.
    pub rows: usize,
    /// Channels of what is made.
    pub columns: usize,
    /// Channels that are summed over, at each position of the kernel.
    pub depth: usize,
}

/// How a product is made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tiling {
    /// What an invocation, or a workgroup, makes of it.
    pub tile: Tile,
    /// The parts that its sums are cut into.
    pub n_splits: usize,
    /// Whether the epilogue also computes mean and M2 of the result: of partitions, or, in registers, of tiles.
    pub mean_m2: bool,
}

/// Fewer tiles of 64 x 64 than this leave a large GPU idle.
const FEW_TILES: usize = 128;
/// Sums of fewer terms are over before cutting them pays.
const MIN_TERMS: usize = 512;

impl Product {
    /// How many parts the sums are cut into: one for each row of the kernel where there are few tiles and
    /// long sums. A function of the shape alone, so that every adapter adds in the same order.
    pub fn n_splits(&self, g: &Geometry) -> usize {
        let n_tiles = self.rows.div_ceil(64) * self.columns.div_ceil(64);
        let n_terms = g.window.area() * self.depth;
        if n_tiles < FEW_TILES && n_terms >= MIN_TERMS { g.window.size[0] } else { 1 }
    }

    /// How to cut it on a target, without moments.
    pub fn tiling(&self, g: &Geometry, target: &Target) -> Tiling {
        let tile = target.tile(self.rows, self.columns);
        Tiling { tile, n_splits: self.n_splits(g), mean_m2: false }
    }

    /// The shader for a target, without the imports that say what is made of which pixels, and its
    /// workgroups.
    pub fn shader(&self, g: &Geometry, target: &Target, tiling: Tiling) -> (Shader, [u32; 3]) {
        let Tiling { tile, n_splits, mean_m2 } = tiling;
        let square = square(tile);
        let path = if square.is_some() { "conv2d/forward_tile" } else { "conv2d/forward" };
        let shader = g
            .shader(path)
            .import("weight", by_fours(self.columns, "conv2d/weight_vec4", "conv2d/weight_scalar"))
            .import(
                "store_result",
                by_fours(self.columns, "conv2d/store_vec4", "conv2d/store_scalar"),
            )
            .constant("N_SPLITS", n_splits);
        let (shader, rows, columns) = match square {
            None => {
                let lanes = channel_lanes(self.columns);
                let emit = if mean_m2 { "conv2d/emit_tile_rows" } else { "conv2d/emit_none" };
                let shader = shader.import("turns", target.turns()).import("emit", emit);
                (with_lanes(shader, lanes, tile, target), 64 / lanes * 8, lanes * 4)
            }
            Some((import, side)) => {
                let finish = match (mean_m2, tile) {
                    (false, _) => "conv2d/finish_store",
                    (true, Tile::Square128) => "conv2d/finish_mean_m2_8x8",
                    (true, _) => "conv2d/finish_mean_m2_4x4",
                };
                (shader.import("tile", import).import("finish", finish), side, side)
            }
        };
        let [x, y, _] = grid_of_workgroups(self.rows.div_ceil(rows));
        (shader, [x, y, (self.columns.div_ceil(columns) * n_splits) as u32])
    }
}

/// The file of a tile in workgroup memory, and how many rows and columns it has; none for those in registers.
pub(super) fn square(tile: Tile) -> Option<(&'static str, usize)> {
    match tile {
        Tile::Registers | Tile::Subgroup => None,
        Tile::Square64 => Some(("shared/tile_4x4", 64)),
        Tile::Square128 => Some(("shared/tile_8x8", 128)),
    }
}

/// Invocations that a register tile puts side by side along the channels, four for each.
pub(super) fn channel_lanes(channels: usize) -> usize {
    channels.div_ceil(4).next_power_of_two().min(8)
}

/// Tells a register tile how many lanes stand along the channels, and who reads what they all need.
///
/// # Panics
/// For subgroups, where kernels cannot use them.
pub(super) fn with_lanes(shader: Shader, lanes: usize, tile: Tile, target: &Target) -> Shader {
    assert!(target.has(tile), "{tile:?} needs what {target:?} has not");
    let shader = shader.constant("CHANNEL_LANES", lanes);
    match tile {
        Tile::Subgroup => shader
            .import("lanes", "shared/lanes_subgroup")
            .constant("SHARING_LANES", lanes.min(target.min_subgroup_size)),
        _ => shader.import("lanes", "shared/lanes_alone"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::conv2d::Conv2d;

    fn n_splits(batch: usize, side: usize, ci: usize, co: usize) -> usize {
        let g = Geometry::new(
            &Conv2d::square(3, 1, 1),
            None,
            &[batch, side, side, ci],
            &[3, 3, ci, co],
        );
        Product { rows: g.n_pixels(), columns: co, depth: ci }.n_splits(&g)
    }

    #[test]
    fn sums_are_cut_where_tiles_are_few_and_sums_long() {
        assert_eq!(n_splits(512, 4, 512, 512), 1, "enough tiles");
        assert_eq!(n_splits(32, 4, 512, 512), 3);
        assert_eq!(n_splits(2, 4, 16, 16), 1, "short sums");
    }

    #[test]
    fn lanes_fit_the_channels() {
        assert_eq!([3, 4, 8, 12, 16, 20, 64].map(channel_lanes), [1, 1, 2, 4, 4, 8, 8]);
    }
}
