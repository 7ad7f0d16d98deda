//! The tiles of a convolution's matrix products, and the rule that chooses one.
//!
//! `src/ops/conv2d/product.rs` maps each tile to shaders: `shaders/shared/tile_4x4.wgsl` and `tile_8x8.wgsl` for tiles
//! in workgroup memory, `lanes_alone.wgsl` and `lanes_subgroup.wgsl` for tiles in registers. The linear layer does not
//! use these tiles: `shaders/linear/matmul.wgsl` has a tile of its own, 4 x 4 results in registers.

use serde::{Deserialize, Serialize};

/// The tile of a matrix product: the block of results that one invocation or one workgroup computes. All tiles give the
/// same bits: every sum has the same terms in the same order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Tile {
    /// Each invocation computes 8 x 4 results in registers, without workgroup memory or barriers.
    #[serde(rename = "registers")]
    Registers,
    /// Each invocation computes 8 x 4 results in registers. Neighbouring invocations of a subgroup share their reads
    /// through shuffles.
    #[serde(rename = "subgroup")]
    Subgroup,
    /// Each workgroup computes 64 x 64 results through workgroup memory, and each of its invocations computes 4 x 4.
    #[serde(rename = "64x64")]
    Square64,
    /// Each workgroup computes 128 x 128 results through workgroup memory, and each of its invocations computes 8 x 8.
    #[serde(rename = "128x128")]
    Square128,
}

impl Tile {
    /// All tiles.
    pub const ALL: &'static [Tile] =
        &[Tile::Registers, Tile::Subgroup, Tile::Square64, Tile::Square128];

    /// Returns the name in settings and listings, such as `64x64`.
    pub fn name(self) -> &'static str {
        match self {
            Tile::Registers => "registers",
            Tile::Subgroup => "subgroup",
            Tile::Square64 => "64x64",
            Tile::Square128 => "128x128",
        }
    }

    /// Returns true if the tile uses no workgroup memory.
    pub fn is_in_registers(self) -> bool {
        matches!(self, Tile::Registers | Tile::Subgroup)
    }

    /// Returns the tile of a product of `rows` x `columns` results on an adapter for which no tile was measured.
    /// `min_subgroup_size` is in invocations; 0 if kernels cannot use subgroups.
    pub fn by_rule(
        rows: usize,
        columns: usize,
        is_software: bool,
        min_subgroup_size: usize,
    ) -> Self {
        let n_large = rows.div_ceil(128) * columns.div_ceil(128);
        // A software adapter shuffles a subgroup of eight invocations with one CPU instruction. For other sizes the
        // shuffle becomes a loop.
        if is_software && min_subgroup_size == 8 {
            Tile::Subgroup
        } else if is_software || columns < 32 {
            Tile::Registers
        } else if columns > 64 && n_large >= 64 {
            Tile::Square128
        } else {
            Tile::Square64
        }
    }
}
