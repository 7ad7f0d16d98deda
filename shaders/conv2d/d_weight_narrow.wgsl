// The gradient of the weight of a convolution with narrow groups, of 1, 2, 4 or 8 channels:
//
//   d_weight[ky, kx, k, co] = sum over pixels of x[pixel under (ky, kx), channel k of co's group] * d_out[pixel, co]
//
// An invocation sums all (ky, kx, k) of 4 output channels over a split of the pixels, in registers. As in
// forward_narrow.wgsl, the pixels are divided into blocks of STRIP rows of RUN pixels. The invocation moves its window
// down the rows of x, and reads each number of x under the block once for all ky and kx. The two invocations of a group of
// 8 channels need the same numbers of x. With subgroups, each of them reads half (the import `lanes`). Grid: an invocation
// for each split and four channels, in this order. src/ops/conv2d/d_weight.rs launches this kernel.

// #import conv2d/geometry
// #import conv2d/narrow_group
// #import load_x
// #import d_output4
// #import store_result
// #import lanes
// #import trip_count

const N_SPLITS: u32 = 1u;
const OUT_CHANNELS: u32 = CO;
const VECTORS: u32 = (CO + 3u) / 4u;

const STRIP: u32 = 1u;
const RUN: u32 = 1u;
const BLOCKS_H: u32 = (OH + STRIP - 1u) / STRIP;
const BLOCKS_W: u32 = (OW + RUN - 1u) / RUN;
const N_BLOCKS: u32 = N * BLOCKS_H * BLOCKS_W;
const BLOCKS_PER_SPLIT: u32 = (N_BLOCKS + N_SPLITS - 1u) / N_SPLITS;
const WINDOW_W: u32 = (RUN - 1u) * STRIDE_W + KERNEL_W;
// The vectors of a pixel of x that an invocation reads itself: one, or all of its group.
const N_OWN_VECTORS: u32 = GROUP_VECTORS / SHARING_LANES;
// Required by the import `lanes`, for invocations of the same channels; here none of them share reads.
const COLUMN_DISTANCE: u32 = 1u;

// The sums of four output channels for each (ky, kx) and one k. Compilers keep these arrays in registers, because they
// unroll the loops over them, and every index is then a constant.
alias Sums = array<array<vec4<f32>, KERNEL_W>, KERNEL_H>;

// Adds the terms of one k to the sums, for the pixels of a run.
fn add_terms(
    sums: ptr<function, Sums>,
    window: ptr<function, array<array<array<vec4<f32>, GROUP_VECTORS>, WINDOW_W>, KERNEL_H>>,
    d_outs: ptr<function, array<vec4<f32>, RUN>>,
    k: u32,
) {
    for (var ky = 0u; ky < KERNEL_H; ky++) {
        for (var kx = 0u; kx < KERNEL_W; kx++) {
            for (var i = 0u; i < RUN; i++) {
                let x = (*window)[ky][i * STRIDE_W + kx][k / 4u];
                (*sums)[ky][kx] = fma(factors(x, k % 4u), (*d_outs)[i], (*sums)[ky][kx]);
            }
        }
    }
}

fn multiply(workgroup: vec3<u32>, n_workgroups: vec3<u32>, local_ix: u32, lane: u32) {
    let ix = (workgroup.y * n_workgroups.x + workgroup.x) * 64u + local_ix;
    let channel = ix % VECTORS * 4u;
    let split = ix / VECTORS;
    var s0: Sums;
    var s1: Sums;
    var s2: Sums;
    var s3: Sums;
    var s4: Sums;
    var s5: Sums;
    var s6: Sums;
    var s7: Sums;
    var window: array<array<array<vec4<f32>, GROUP_VECTORS>, WINDOW_W>, KERNEL_H>;
    var d_outs: array<vec4<f32>, RUN>;
    let n_blocks = trip_count(BLOCKS_PER_SPLIT, n_workgroups);
    let n_rows = trip_count(STRIP, n_workgroups);
    // The first channel of x that the invocation reads itself.
    let x_channel = channel / (4u * N_OWN_VECTORS) * (4u * N_OWN_VECTORS);
    // All lanes of a subgroup must take part in every shuffle, but they may have different splits, and the last split may
    // have fewer blocks. So the trip count is the same for all lanes. Both factors of a missing block are zero, because a
    // product of zero and an infinite number would be NaN.
    for (var b = 0u; b < n_blocks; b++) {
        let block = split * BLOCKS_PER_SPLIT + b;
        let has_block = block < N_BLOCKS;
        let n = block / (BLOCKS_H * BLOCKS_W);
        let corner = vec2<u32>(block / BLOCKS_W % BLOCKS_H * STRIP, block % BLOCKS_W * RUN);
        var row = 0u;
        for (var t = 0u; t < n_rows; t++) {
            for (; row < t * STRIDE_H + KERNEL_H; row++) {
                for (var i = 0u; i < KERNEL_H - 1u; i++) {
                    window[i] = window[i + 1u];
                }
                for (var i = 0u; i < WINDOW_W; i++) {
                    var source = x_source(n, corner.x, corner.y, row, i);
                    source.x = select(OUTSIDE, source.x, has_block);
                    for (var v = 0u; v < N_OWN_VECTORS; v++) {
                        let own = load_x(source, x_channel + 4u * v);
                        for (var u = 0u; u < SHARING_LANES; u++) {
                            window[KERNEL_H - 1u][i][v * SHARING_LANES + u] = of_neighbour(own, lane, u);
                        }
                    }
                }
            }
            let oy = corner.x + t;
            for (var i = 0u; i < RUN; i++) {
                let d_out = d_output4(d_output_source(n, oy, corner.y + i), channel);
                let exists = has_block && oy < OH && corner.y + i < OW;
                d_outs[i] = select(vec4<f32>(), d_out, vec4<bool>(exists));
            }
            add_terms(&s0, &window, &d_outs, 0u);
            if GROUP_CHANNELS > 1u {
                add_terms(&s1, &window, &d_outs, 1u);
            }
            if GROUP_CHANNELS > 2u {
                add_terms(&s2, &window, &d_outs, 2u);
                add_terms(&s3, &window, &d_outs, 3u);
            }
            if GROUP_CHANNELS > 4u {
                add_terms(&s4, &window, &d_outs, 4u);
                add_terms(&s5, &window, &d_outs, 5u);
                add_terms(&s6, &window, &d_outs, 6u);
                add_terms(&s7, &window, &d_outs, 7u);
            }
        }
    }
    if split >= N_SPLITS {
        return;
    }
    for (var ky = 0u; ky < KERNEL_H; ky++) {
        for (var kx = 0u; kx < KERNEL_W; kx++) {
            let position = (split * KERNEL_H + ky) * KERNEL_W + kx;
            let start = position * GROUP_CHANNELS * CO;
            store_result(start, channel, s0[ky][kx]);
            if GROUP_CHANNELS > 1u {
                store_result(start + CO, channel, s1[ky][kx]);
            }
            if GROUP_CHANNELS > 2u {
                store_result(start + 2u * CO, channel, s2[ky][kx]);
                store_result(start + 3u * CO, channel, s3[ky][kx]);
            }
            if GROUP_CHANNELS > 4u {
                store_result(start + 4u * CO, channel, s4[ky][kx]);
                store_result(start + 5u * CO, channel, s5[ky][kx]);
                store_result(start + 6u * CO, channel, s6[ky][kx]);
                store_result(start + 7u * CO, channel, s7[ky][kx]);
            }
        }
    }
}
