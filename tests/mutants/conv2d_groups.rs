//! The mutants of convolutions with narrow groups, and with groups that are padded.

use super::In::{self, Default, Registers, Subgroup};
use super::Mutant;

pub const MUTANTS: &[(In, Mutant)] = &[
    (
        Default,
        ("conv2d", "conv2d/padded_groups", "max(COLUMNS, column)", "max(COLUMNS + 1u, column)"),
    ),
    (Default, ("conv2d", "conv2d/padded_groups", "% PADDED_ROWS;", "% ROWS;")),
    (
        Default,
        ("conv2d", "conv2d/padded_groups", "outer * ROWS + row", "outer * PADDED_ROWS + row"),
    ),
    (Default, ("conv2d", "conv2d/pad_groups", "if place.y > 1u", "if place.y > 2u")),
    (Default, ("conv2d", "conv2d/unpad_groups", "if place.y > 0u", "if place.y > 1u")),
    (Default, ("conv2d", "conv2d/narrow_group", "channels.xxzz", "channels.xxxx")),
    (Default, ("conv2d", "conv2d/narrow_group", "channels[k]", "channels[k ^ 1u]")),
    (
        Registers,
        ("conv2d", "conv2d/narrow_sums", "tap_h < TAPS_H; tap_h++", "tap_h + 1u < TAPS_H; tap_h++"),
    ),
    (Registers, ("conv2d", "conv2d/narrow_sums", "i * WINDOW_STEP_W + tap_w", "i + tap_w")),
    (
        Registers,
        ("conv2d", "conv2d/forward_narrow", "operands.window[i] = operands.window[i + 1u];", ""),
    ),
    (
        Registers,
        ("conv2d", "conv2d/forward_narrow", "row < t * WINDOW_STEP_H + TAPS_H", "row < t + TAPS_H"),
    ),
    (Registers, ("conv2d", "conv2d/forward_narrow", "- at, MIRRORED", "- at, false")),
    (Registers, ("conv2d", "conv2d/forward_narrow", "&& pixel.y < OUT_W", "")),
    (Registers, ("conv2d", "conv2d/forward_narrow", "sums[i] + block.bias", "sums[i]")),
    (
        Registers,
        (
            "conv2d",
            "conv2d/narrow_sums",
            "position.x < KERNEL_H && position.y < KERNEL_W",
            "position.x < KERNEL_H",
        ),
    ),
    (Registers, ("conv2d", "conv2d/forward_narrow", "p % POSITION_STEP_W", "0u")),
    (Registers, ("conv2d", "conv2d/forward_narrow", "var p = 4u", "var p = 5u")),
    (Subgroup, ("conv2d", "conv2d/narrow_sums", "ix % COLUMN_SHARING_LANES", "0u")),
    (
        Subgroup,
        (
            "conv2d",
            "conv2d/forward_narrow",
            "i * COLUMN_SHARING_LANES + column_lane",
            "i * COLUMN_SHARING_LANES",
        ),
    ),
    (Registers, ("conv2d", "conv2d/forward_narrow", "t, 3u)", "t, 2u)")),
    (Registers, ("conv2d", "conv2d/transpose_weight_vec4", "+ group * co_vectors + co", "+ co")),
    (Registers, ("conv2d", "conv2d/transpose_weight_vec4", "% co_vectors", "% ci_vectors")),
    (Registers, ("conv2d", "conv2d/transpose_weight_vec4", "w0.y, w1.y", "w1.y, w0.y")),
    (Default, ("conv2d", "conv2d/d_weight_narrow", "vec4<bool>(exists)", "vec4<bool>(true)")),
    (
        Default,
        (
            "conv2d",
            "conv2d/d_weight_narrow",
            "&s3, &window, &d_outs, 3u",
            "&s3, &window, &d_outs, 2u",
        ),
    ),
    (
        Default,
        ("conv2d", "conv2d/d_weight_narrow", "row < t * STRIDE_H + KERNEL_H", "row < t + KERNEL_H"),
    ),
    (Default, ("conv2d", "conv2d/d_weight_narrow", "split * KERNEL_H + ky", "ky")),
    (Default, ("conv2d", "conv2d/d_weight_narrow", "block < N_BLOCKS", "block + 1u < N_BLOCKS")),
    (Default, ("conv2d", "conv2d/d_weight_narrow", "split * BLOCKS_PER_SPLIT + b", "b")),
];

/// The mutants that change only the blocks of groups of 8 and 16 channels, which software adapters alone have: the sharing
/// of the source, and its other vectors.
pub const SOFTWARE_MUTANTS: &[(In, Mutant)] = &[
    (Subgroup, ("conv2d", "conv2d/forward_narrow", "lane / COLUMN_DISTANCE %", "lane %")),
    (Subgroup, ("conv2d", "conv2d/forward_narrow", "of_neighbour(own, lane, v)", "own")),
    (
        Subgroup,
        (
            "conv2d",
            "conv2d/forward_narrow",
            "local_ix / GROUP_VECTORS % BLOCK_LANES",
            "local_ix % BLOCK_LANES",
        ),
    ),
    (Subgroup, ("conv2d", "conv2d/d_weight_narrow", "of_neighbour(own, lane, u)", "own")),
    (Subgroup, ("conv2d", "conv2d/narrow_sums", "[k / 4u]", "[0]")),
    (Registers, ("conv2d", "conv2d/d_weight_narrow", "x_channel + 4u * v", "x_channel")),
    (Registers, ("conv2d", "conv2d/d_weight_narrow", "v * SHARING_LANES + u", "u")),
    (Registers, ("conv2d", "conv2d/d_weight_narrow", "start + 7u * CO", "start + 6u * CO")),
];
