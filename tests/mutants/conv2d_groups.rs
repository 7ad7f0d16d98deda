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
        (
            "conv2d",
            "conv2d/forward_narrow",
            "tap_h < TAPS_H; tap_h++",
            "tap_h + 1u < TAPS_H; tap_h++",
        ),
    ),
    (Registers, ("conv2d", "conv2d/forward_narrow", "i * WINDOW_STEP_W + tap_w", "i + tap_w")),
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
    (Registers, ("conv2d", "conv2d/forward_narrow", "sums[i] + bias", "sums[i]")),
    (
        Registers,
        (
            "conv2d",
            "conv2d/forward_narrow",
            "position.x < KERNEL_H && position.y < KERNEL_W",
            "position.x < KERNEL_H",
        ),
    ),
    (Registers, ("conv2d", "conv2d/forward_narrow", "p % POSITION_STEP_W", "0u")),
    (Subgroup, ("conv2d", "conv2d/forward_narrow", "lane, ix % SHARING_LANES", "lane, 0u")),
    (
        Subgroup,
        (
            "conv2d",
            "conv2d/forward_narrow",
            "i * SHARING_LANES + lane % SHARING_LANES",
            "i * SHARING_LANES",
        ),
    ),
    (Default, ("conv2d", "conv2d/d_weight_narrow", "vec4<bool>(exists)", "vec4<bool>(true)")),
    (
        Default,
        (
            "conv2d",
            "conv2d/d_weight_narrow",
            "&s3, &window, &d_outs, ky, 3u",
            "&s3, &window, &d_outs, ky, 2u",
        ),
    ),
    (
        Default,
        ("conv2d", "conv2d/d_weight_narrow", "row < t * STRIDE_H + KERNEL_H", "row < t + KERNEL_H"),
    ),
    (Default, ("conv2d", "conv2d/d_weight_narrow", "split * KERNEL_H + ky", "ky")),
];
