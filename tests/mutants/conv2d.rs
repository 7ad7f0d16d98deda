//! The mutants of convolutions: of every kernel, in registers and in workgroup memory, and of every file that these
//! kernels import. `conv2d_groups.rs` has those of narrow and of padded groups.
//!
//! Some mutants remove a barrier. An invocation may then still read, by chance, the value that another invocation
//! stores before the barrier, and the mutant is not caught. This does not happen on Mesa's software adapter, which runs
//! the invocations of a workgroup in groups, one group after another, up to each barrier.

use super::In::{self, Default, Naive, Registers, Square64, Square128, Subgroup};
use super::Mutant;

pub const MUTANTS: &[(In, Mutant)] = &[
    (Default, ("conv2d", "conv2d/geometry", "row >= PADDING_H &&", "")),
    (Default, ("conv2d", "conv2d/load_x_scalar", "if ci + 1u < CI", "if ci + 1u <= CI")),
    (Default, ("conv2d", "conv2d/load_x_row", "(terms < vec4<u32>(CI)) & ", "")),
    (Default, ("conv2d", "conv2d/load_x_row", "(at < vec4<u32>(ROW_OF_X)) & ", "")),
    (Default, ("conv2d", "conv2d/load_x_row", "row >= PADDING_H &&", "")),
    (Default, ("conv2d", "conv2d/load_x_row", "STRIDE_W - PADDING_W", "STRIDE_W")),
    (Default, ("conv2d", "conv2d/x_source_pixel", "ky, kx), 0u", "kx, ky), 0u")),
    (Default, ("conv2d", "conv2d/weight_vec4", "LAST_WEIGHT4)]", "LAST_WEIGHT4 - 1u)]")),
    (Default, ("conv2d", "conv2d/weight_scalar", "min(ix + 3u", "min(ix + 2u")),
    (Default, ("conv2d", "conv2d/store_vec4", "= values;", "= values.xyzz;")),
    (
        Default,
        (
            "conv2d",
            "conv2d/store_scalar",
            "result[ix + 3u] = values.w",
            "result[ix + 3u] = values.z",
        ),
    ),
    (Registers, ("conv2d", "conv2d/forward", "s2 = multiply_add4(s2, x2, w0, w1, w2, w3);", "")),
    (
        Registers,
        ("conv2d", "conv2d/forward", "own_weights[1u / COLUMN_SHARING_LANES]", "own_weights[0u]"),
    ),
    (Registers, ("conv2d", "conv2d/forward", "own[5u / SHARING_LANES]", "own[4u / SHARING_LANES]")),
    (Registers, ("conv2d", "conv2d/forward", "own_row + own_ix * SHARING_LANES", "own_row")),
    (
        Subgroup,
        ("conv2d", "conv2d/forward", "lane, 6u % SHARING_LANES", "lane, 5u % SHARING_LANES"),
    ),
    (Subgroup, ("conv2d", "conv2d/forward", "row + local_ix % SHARING_LANES", "row")),
    (
        Subgroup,
        (
            "conv2d",
            "shared/lanes_subgroup",
            "subgroupShuffle(value, lane / SHARING_LANES * SHARING_LANES + i)",
            "subgroupShuffle(value, i)",
        ),
    ),
    (
        Subgroup,
        ("conv2d", "shared/lanes_subgroup", "subgroup * subgroup_size + lane, lane", "lane, lane"),
    ),
    (Registers, ("conv2d", "conv2d/forward", "vec4<f32>(x.w), w3", "vec4<f32>(x.z), w3")),
    (
        Registers,
        ("conv2d", "conv2d/forward", "store_rows(split, row + 4u", "store_rows(split, row"),
    ),
    (
        Registers,
        (
            "conv2d",
            "conv2d/operands_forward",
            "pixel.x, pixel.y, pixel.z",
            "pixel.x, pixel.z, pixel.y",
        ),
    ),
    (Registers, ("conv2d", "conv2d/rows_linear", "pixel / OUT_W % OUT_H", "pixel / OUT_H % OUT_H")),
    (Registers, ("conv2d", "conv2d/rows_linear", "min(row, N_ROWS - 1u)", "min(row, N_ROWS - 2u)")),
    (Registers, ("conv2d", "conv2d/rows_pooled", "py * 2u + i / 2u % 2u", "py * 2u + i % 2u")),
    (Square64, ("conv2d", "conv2d/rows_pooled", "px * 2u + i % 2u", "px * 2u")),
    (Registers, ("conv2d", "conv2d/epilogue_store", "let y1 = s1 + bias", "let y1 = s1")),
    (
        Registers,
        ("conv2d", "conv2d/epilogue_store", "bias_of(channel + 2u)", "bias_of(channel + 1u)"),
    ),
    (
        Registers,
        ("conv2d", "conv2d/epilogue_store", "(split * N * OUT_H * OUT_W + pixel)", "pixel"),
    ),
    (Default, ("conv2d", "shared/greater_or_nan", "values > largest", "values >= largest")),
    (
        Registers,
        (
            "conv2d",
            "conv2d/epilogue_pool",
            "greater_or_nan4(s2, largest)",
            "greater_or_nan4(s1, largest)",
        ),
    ),
    (Registers, ("conv2d", "conv2d/epilogue_pool", "= at.y", "= at.x")),
    (
        Square64,
        (
            "conv2d",
            "conv2d/epilogue_pool",
            "row / ROWS_PER_PIXEL * OUT_CHANNELS",
            "row / 8u * OUT_CHANNELS",
        ),
    ),
    // These mutants change a result only if the sums are divided by split-K.
    (Registers, ("conv2d", "conv2d/kernel_rows", "/ N_SPLITS", "/ N_SPLITS - split / 3u")),
    (Square64, ("conv2d", "conv2d/kernel_rows", "/ N_SPLITS", "/ N_SPLITS - split / 3u")),
    (
        Registers,
        ("conv2d", "conv2d/kernel_rows", "split * KERNEL_ROWS", "split * (KERNEL_ROWS - 1u)"),
    ),
    (Registers, ("conv2d", "conv2d/operands_d_input", "+ PADDING_H - ky", "+ ky - PADDING_H")),
    (Registers, ("conv2d", "conv2d/operands_d_input", "row < OH &&", "")),
    (Registers, ("conv2d", "conv2d/operands_d_input", "column < OW", "column <= OW")),
    (
        Registers,
        (
            "conv2d",
            "conv2d/transpose_weight_scalar",
            "(position * ci_per_group + ci) * n_co + group * co_per_group + co",
            "(position * n_co + group * co_per_group + co) * ci_per_group + ci",
        ),
    ),
    (
        Registers,
        (
            "conv2d",
            "conv2d/transpose_weight_scalar",
            "(n_groups * ci_per_group) % co_per_group",
            "(n_groups * ci_per_group) % ci_per_group",
        ),
    ),
    (
        Square64,
        (
            "conv2d",
            "conv2d/d_output4_pooled_vec4",
            "index[ix] == vec4<u32>(source.y)",
            "index[ix] != vec4<u32>(source.y)",
        ),
    ),
    (
        Square64,
        (
            "conv2d",
            "conv2d/d_output4_pooled_scalar",
            "index[ix] == source.y",
            "index[ix] != source.y",
        ),
    ),
    (
        Registers,
        ("conv2d", "conv2d/d_weight", "fma(vec4<f32>(upper.w), d_out, sums.s3)", "sums.s3"),
    ),
    (Registers, ("conv2d", "conv2d/d_weight", "load_rows(row + 4u", "load_rows(row")),
    (Subgroup, ("conv2d", "conv2d/d_weight", "+ local_ix % SHARING_LANES", "")),
    (
        Subgroup,
        ("conv2d", "conv2d/d_weight", "own_ix * COLUMN_SHARING_LANES + column_lane", "column_lane"),
    ),
    (
        Subgroup,
        ("conv2d", "conv2d/d_weight", "COLUMN_SHARING_LANES + column_lane", "COLUMN_SHARING_LANES"),
    ),
    (
        Subgroup,
        (
            "conv2d",
            "conv2d/d_weight",
            "(N_ROWS + 8u * COLUMN_SHARING_LANES - 1u) / (8u * COLUMN_SHARING_LANES) * COLUMN_SHARING_LANES",
            "(N_ROWS + 7u) / 8u",
        ),
    ),
    (Subgroup, ("conv2d", "conv2d/d_weight", "min(j + 2u,", "min(j + 1u,")),
    (
        Subgroup,
        ("conv2d", "conv2d/d_weight", "column < CO_PER_GROUP", "column + 4u < CO_PER_GROUP"),
    ),
    (
        Subgroup,
        ("conv2d", "conv2d/d_weight", "vector / GROUP_VECTORS", "vector * 4u / CO_PER_GROUP"),
    ),
    (Subgroup, ("conv2d", "conv2d/forward", "exists = column <", "exists = column + 4u <")),
    (
        Subgroup,
        (
            "conv2d",
            "conv2d/forward",
            "vector / GROUP_VECTORS",
            "vector * 4u / (OUT_CHANNELS / GROUPS)",
        ),
    ),
    (
        Registers,
        ("conv2d", "conv2d/d_weight_rows", "let oy = pixel / OW % OH", "let oy = pixel / OH % OH"),
    ),
    (
        Default,
        ("conv2d", "conv2d/unpool", "at == y * POOL_W + x", "at == y * POOL_H + POOL_H - 1u - x"),
    ),
    (Default, ("conv2d", "conv2d/unpool", "if oy < OH && ox < OW", "if oy < OH")),
    (
        Registers,
        (
            "conv2d",
            "conv2d/d_weight",
            "min(first + PIXELS_PER_SPLIT, N_PIXELS)",
            "min(first + PIXELS_PER_SPLIT, N_PIXELS - 1u)",
        ),
    ),
    (
        Registers,
        (
            "conv2d",
            "conv2d/d_weight_rows",
            "position / KERNEL_W, position % KERNEL_W",
            "position % KERNEL_W, position / KERNEL_W",
        ),
    ),
    (Registers, ("conv2d", "conv2d/d_weight", "row_lane % ROW_BLOCKS", "row_lane / N_SPLITS")),
    (Registers, ("conv2d", "conv2d/d_weight", "if split < N_SPLITS", "if split + 1u < N_SPLITS")),
    (
        Registers,
        (
            "conv2d",
            "conv2d/d_weight_rows",
            "position = split * KERNEL_H",
            "position = 0u * KERNEL_H",
        ),
    ),
    (Registers, ("conv2d", "conv2d/store_scalar", "= values.z", "= values.y")),
    (Square64, ("conv2d", "conv2d/forward_tile", "min(step + 1u, last - 1u)", "step")),
    (Square64, ("conv2d", "conv2d/forward_tile", "term < TERMS", "term <= TERMS")),
    (Square64, ("conv2d", "conv2d/forward_tile", "workgroupBarrier();", "")),
    (
        Square64,
        (
            "conv2d",
            "conv2d/forward_tile",
            "= next_right;\n        workgroupBarrier();",
            "= next_right;",
        ),
    ),
    (
        Square128,
        ("conv2d", "conv2d/forward_tile", "left[(1u - buffer) * 256u", "left[buffer * 256u"),
    ),
    (
        Square128,
        (
            "conv2d",
            "conv2d/forward_tile",
            "local_ix / TERM_VECTORS;",
            "local_ix / TERM_VECTORS + 1u;",
        ),
    ),
    (
        Square64,
        ("conv2d", "conv2d/d_weight_tile", "pixel + STEP + fetch_pixel", "pixel + fetch_pixel"),
    ),
    (Square64, ("conv2d", "conv2d/d_weight_tile", "workgroupBarrier();", "")),
    (
        Square64,
        (
            "conv2d",
            "conv2d/d_weight_tile",
            "= next_right;\n        workgroupBarrier();",
            "= next_right;",
        ),
    ),
    (Square128, ("conv2d", "conv2d/d_weight_tile", "buffer = 1u - buffer;", "")),
    (Square128, ("conv2d", "conv2d/d_weight_tile", "pixel < end;", "pixel + STEP < end;")),
    (Square64, ("conv2d", "shared/tile_4x4", "left[at + STEP / 4u * 3u]", "left[at + STEP / 2u]")),
    (
        Square64,
        (
            "conv2d",
            "shared/tile_4x4",
            "s = add_outer(s, vec4<f32>(x0.w, x1.w, x2.w, x3.w), w3);",
            "",
        ),
    ),
    (
        Square64,
        ("conv2d", "shared/tile_4x4", "left[(start + row) / 4u]", "left[(start + column) / 4u]"),
    ),
    (Square64, ("conv2d", "shared/tile_4x4", "% 2u * 32u", "% 2u * 16u")),
    (Square128, ("conv2d", "shared/tile_8x8", "left[at + 10u]", "left[at + 8u]")),
    (Square128, ("conv2d", "shared/tile_8x8", "right[start + 8u]", "right[start]")),
    (Square128, ("conv2d", "shared/tile_8x8", "left[at + 1u]", "left[at]")),
    (
        Square128,
        (
            "conv2d",
            "shared/tile_8x8",
            "store_block(split, row + 4u, column + 32u, s.lower_right);",
            "",
        ),
    ),
    (Default, ("conv2d", "conv2d/mean_m2", "vec4<f32>(n_a * share)", "vec4<f32>(n_a)")),
    (Default, ("conv2d", "conv2d/mean_m2", "n_b / (n_a + n_b)", "0.5")),
    (Default, ("conv2d", "conv2d/mean_m2", "/ ROWS_PER_PIXEL", "")),
    (Default, ("conv2d", "conv2d/store_mean_m2", "2u * number + 1u", "2u * number")),
    (
        Default,
        (
            "conv2d",
            "conv2d/store_mean_m2",
            "mean_m2[ix + 2u] = values.z",
            "mean_m2[ix + 2u] = values.w",
        ),
    ),
    (Registers, ("conv2d", "conv2d/emit_tile_rows", "row / TILE_ROWS", "row / 16u")),
    (Registers, ("conv2d", "conv2d/forward", "merge(upper, lower, row, 4u)", "upper")),
    (Registers, ("conv2d", "conv2d/epilogue_store", "mean_m2_of(y3)", "mean_m2_of(y2)")),
    (Registers, ("conv2d", "conv2d/epilogue_store", "merge(upper, lower, row, 2u)", "upper")),
    (Square64, ("conv2d", "conv2d/epilogue_pool", "mean_m2_of(largest)", "mean_m2_of(s0)")),
    (Registers, ("conv2d", "conv2d/merge_tile_rows", "load_tile(row + TILE_ROWS", "load_tile(row")),
    (
        Registers,
        (
            "conv2d",
            "conv2d/merge_tile_rows",
            "merge(lower, quarter, row - 2u * TILE_ROWS, 2u * TILE_ROWS)",
            "quarter",
        ),
    ),
    (Registers, ("conv2d", "conv2d/merge_tile_rows", "upper = lower;", "upper = quarter;")),
    (Registers, ("conv2d", "conv2d/merge_tile_rows", "row - 2u * TILE_ROWS, ", "row, ")),
    (Registers, ("conv2d", "conv2d/forward", "lower, row, 4u", "lower, row + 4u, 4u")),
    (Square64, ("conv2d", "conv2d/merge_workgroup", "tile_channel + vector * 4u", "vector * 4u")),
    (
        Square128,
        (
            "conv2d",
            "conv2d/finish_mean_m2_8x8",
            "merge(upper_right, lower_right, row, 4u)",
            "upper_right",
        ),
    ),
    (
        Registers,
        (
            "conv2d",
            "conv2d/merge_tile_rows",
            "(N_ROWS - 1u) / TILE_ROWS",
            "(N_ROWS - 9u) / TILE_ROWS",
        ),
    ),
    (Square64, ("conv2d", "conv2d/merge_workgroup", "workgroupBarrier();", "")),
    (
        Square64,
        ("conv2d", "conv2d/merge_workgroup", "n < PARTITION_ROWS;", "n < PARTITION_ROWS / 2u;"),
    ),
    (Square64, ("conv2d", "conv2d/merge_workgroup", "right[a] = both.m2;", "")),
    (
        Square128,
        (
            "conv2d",
            "conv2d/merge_workgroup",
            "(tile_row + row) / PARTITION_ROWS",
            "tile_row / PARTITION_ROWS",
        ),
    ),
    (
        Square128,
        ("conv2d", "conv2d/merge_workgroup", "tile_channel + vector * 4u", "tile_channel + vector"),
    ),
    (
        Square128,
        (
            "conv2d",
            "conv2d/finish_mean_m2_8x8",
            "merge(upper_left, lower_left, row, 4u)",
            "upper_left",
        ),
    ),
    (
        Square128,
        (
            "conv2d",
            "conv2d/finish_mean_m2_8x8",
            "put(own_row, own_column + 32u",
            "put(own_row, own_column",
        ),
    ),
    (Square64, ("conv2d", "conv2d/finish_mean_m2_4x4", "put(row, column", "put(row, row")),
    (Subgroup, ("conv2d", "shared/lanes_subgroup", "first + i * COLUMN_DISTANCE", "first")),
    (
        Subgroup,
        ("conv2d", "conv2d/forward", "own_ix * COLUMN_SHARING_LANES + column_lane", "own_ix"),
    ),
    // Groups in tiles, and the phases of a stride.
    (Registers, ("conv2d", "conv2d/forward", "first_channel + k)", "k)")),
    (Registers, ("conv2d", "conv2d/forward", "first.y + j * POSITION_STEP_W", "first.y + j")),
    (Square64, ("conv2d", "conv2d/forward_tile", "first_channel + term)", "term)")),
    (Square64, ("conv2d", "conv2d/forward_tile", "first + at *", "first * 0u + at *")),
    (Registers, ("conv2d", "conv2d/d_weight", "group * CI_PER_GROUP;", "0u;")),
    (Square64, ("conv2d", "conv2d/d_weight_tile", "* CI_PER_GROUP;", "* 0u;")),
    (Registers, ("conv2d", "conv2d/transpose_weight_scalar", "+ group * co_per_group", "")),
    (
        Registers,
        ("conv2d", "conv2d/transpose_weight_scalar", "co == co_per_group", "co > co_per_group"),
    ),
    (
        Registers,
        ("conv2d", "conv2d/kernel_rows", "KERNEL_H + POSITION_STEP_H - 1u - first.x", "KERNEL_H"),
    ),
    (Registers, ("conv2d", "conv2d/operands_d_input", "(pixel.z + PADDING_W) % STRIDE_W", "0u")),
    (Registers, ("conv2d", "conv2d/rows_phases", "+ phase % STRIDE_W", "")),
    (Registers, ("conv2d", "conv2d/rows_phases", "&& at.z < OUT_W", "")),
    (
        Registers,
        (
            "conv2d",
            "conv2d/operands_d_input",
            "LEAD_W: u32 = (STRIDE_W - 1u + PADDING_W)",
            "LEAD_W: u32 = PADDING_W",
        ),
    ),
    (Naive, ("conv2d", "conv2d/convolve_naive", "first_ci + ci]", "ci]")),
    (Naive, ("conv2d", "conv2d/forward_naive", "+ bias_of(co)", "- bias_of(co)")),
    (
        Naive,
        (
            "conv2d",
            "conv2d/forward_pool_naive",
            "greater_or_nan(value, largest)",
            "greater_or_nan(largest, value)",
        ),
    ),
    (Naive, ("conv2d", "conv2d/d_input_naive", "column % STRIDE_W != 0u", "false")),
    (Naive, ("conv2d", "conv2d/d_output_pooled", "* POOL_W + ox % POOL_W", "* POOL_W")),
    (Naive, ("conv2d", "conv2d/d_weight_naive", "sum += x", "sum = x")),
];
