//! Mutants of the shaders of Winograd's algorithm.

use crate::In::{self, Default, Square64};
use crate::Mutant;

/// The mutants. Some are caught only by the case whose gradient of the weight has several parts, and rows of zeros in
/// each.
pub const MUTANTS: &[(In, Mutant)] = &[
    (
        Default,
        ("conv2d", "conv2d/winograd_weight", "(row.x - row.y + row.z)", "(row.x + row.y - row.z)"),
    ),
    (Default, ("conv2d", "conv2d/winograd_weight", "2u - ky, ROTATED", "ky, ROTATED")),
    (Default, ("conv2d", "conv2d/winograd_weight", "kernel.zyx", "kernel.xyz")),
    (Default, ("conv2d", "conv2d/winograd_source", "r2 - r1", "r1 - r2")),
    (Default, ("conv2d", "conv2d/winograd_source", "row - PADDING_H", "row")),
    (Default, ("conv2d", "conv2d/winograd_source", "x < W &&", "")),
    (Default, ("conv2d", "conv2d/winograd_result", "b - c - d", "b - c + d")),
    (Default, ("conv2d", "conv2d/rows_tiles", "&& x < OUT_W", "")),
    (Default, ("conv2d", "conv2d/winograd_d_output", "- row.y, -row.y", "- row.y, row.y")),
    (Default, ("conv2d", "conv2d/winograd_d_output", "|| x >= OW", "")),
    (Default, ("conv2d", "conv2d/winograd_tiles", "row_of_part < PART_TILES &&", "")),
    (Default, ("conv2d", "conv2d/winograd_tiles", "* PART_TILES +", "* PART_ROWS +")),
    (Default, ("conv2d", "conv2d/winograd_by_tiles", "row / PART_ROWS * 16u", "0u")),
    (Default, ("conv2d", "conv2d/winograd_by_channels", "channel * PART_ROWS", "channel")),
    (Default, ("conv2d", "conv2d/winograd_d_weight", "store_row(ix, 1u, 0.5 * (r1 - r2));", "")),
    (Default, ("conv2d", "conv2d/winograd_d_weight", "split * 16u * CI * COLUMNS", "0u")),
    (Default, ("conv2d", "conv2d/operands_winograd", "pixel.y % 4u", "pixel.y / 4u")),
    (
        Square64,
        ("conv2d", "conv2d/operands_winograd", "(ky * 4u + kx) * OUT_W", "(kx * 4u + ky) * OUT_W"),
    ),
    (Default, ("conv2d", "conv2d/rows_winograd", "row % PHASE_ROWS, OUT_W", "row, OUT_W")),
    (Square64, ("conv2d", "conv2d/rows_winograd", "at.y * OUT_W + at.z", "at.z")),
];
