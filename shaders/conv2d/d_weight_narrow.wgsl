// The gradient of the weight of a convolution with narrow groups, of 1, 2 or 4 channels:
//
//   d_weight[ky, kx, k, co] = sum over pixels of x[pixel under (ky, kx), channel k of co's group] * d_out[pixel, co]
//
// An invocation sums all (ky, kx, k) of 4 output channels over a split of the pixels, in registers. As in
// forward_narrow.wgsl, the pixels are divided into blocks of STRIP rows of RUN pixels. The invocation moves its window
// down the rows of x, and reads each number of x under the block once for all ky and kx. Grid: an invocation for each
// split and four channels, in this order. src/ops/conv2d/d_weight.rs launches this kernel.

// #import conv2d/geometry
// #import conv2d/narrow_group
// #import load_x
// #import d_output4
// #import store_result
// #import shared/linear_index
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

// The sums of four output channels for each (ky, kx) and one k. Compilers keep these arrays in registers, because they
// unroll the loops over them, and every index is then a constant.
alias Sums = array<array<vec4<f32>, KERNEL_W>, KERNEL_H>;

// Adds the terms of one ky and k to the sums, for the pixels of a run.
fn add_terms(
    sums: ptr<function, Sums>,
    window: ptr<function, array<array<vec4<f32>, WINDOW_W>, KERNEL_H>>,
    d_outs: ptr<function, array<vec4<f32>, RUN>>,
    ky: u32,
    k: u32,
) {
    for (var kx = 0u; kx < KERNEL_W; kx++) {
        for (var i = 0u; i < RUN; i++) {
            let x = (*window)[ky][i * STRIDE_W + kx];
            (*sums)[ky][kx] = fma(factors(x, k), (*d_outs)[i], (*sums)[ky][kx]);
        }
    }
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let ix = linear_index(workgroup, n_workgroups, local_ix);
    if ix >= N_SPLITS * VECTORS {
        return;
    }
    let channel = ix % VECTORS * 4u;
    let split = ix / VECTORS;
    var s0: Sums;
    var s1: Sums;
    var s2: Sums;
    var s3: Sums;
    var window: array<array<vec4<f32>, WINDOW_W>, KERNEL_H>;
    var d_outs: array<vec4<f32>, RUN>;
    let end = min((split + 1u) * BLOCKS_PER_SPLIT, N_BLOCKS);
    let n_rows = trip_count(STRIP, n_workgroups);
    for (var block = split * BLOCKS_PER_SPLIT; block < end; block++) {
        let n = block / (BLOCKS_H * BLOCKS_W);
        let corner = vec2<u32>(block / BLOCKS_W % BLOCKS_H * STRIP, block % BLOCKS_W * RUN);
        var row = 0u;
        for (var t = 0u; t < n_rows; t++) {
            for (; row < t * STRIDE_H + KERNEL_H; row++) {
                for (var i = 0u; i < KERNEL_H - 1u; i++) {
                    window[i] = window[i + 1u];
                }
                for (var i = 0u; i < WINDOW_W; i++) {
                    let start = input_start(n, corner.x, corner.y, row, i);
                    window[KERNEL_H - 1u][i] = load_x(start, channel);
                }
            }
            let oy = corner.x + t;
            for (var i = 0u; i < RUN; i++) {
                let d_out = d_output4(d_output_source(n, oy, corner.y + i), channel);
                let exists = oy < OH && corner.y + i < OW;
                d_outs[i] = select(vec4<f32>(), d_out, vec4<bool>(exists));
            }
            for (var ky = 0u; ky < KERNEL_H; ky++) {
                add_terms(&s0, &window, &d_outs, ky, 0u);
            }
            if GROUP_CHANNELS > 1u {
                for (var ky = 0u; ky < KERNEL_H; ky++) {
                    add_terms(&s1, &window, &d_outs, ky, 1u);
                }
            }
            if GROUP_CHANNELS > 2u {
                for (var ky = 0u; ky < KERNEL_H; ky++) {
                    add_terms(&s2, &window, &d_outs, ky, 2u);
                }
                for (var ky = 0u; ky < KERNEL_H; ky++) {
                    add_terms(&s3, &window, &d_outs, ky, 3u);
                }
            }
        }
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
        }
    }
}
