// Convolution with narrow groups, of 1, 2 or 4 channels, in registers: an invocation computes a block of pixels x 4
// channels, STRIP rows of RUN pixels.
//
// The product is that of forward.wgsl, with the same terms in the same order. There the invocations of neighbouring
// channels share the numbers of the source; here their groups differ, and they share nothing. But the windows of
// neighbouring pixels overlap. An invocation moves its window down the rows of the source, and reads each number under
// its block once: for a 3x3 kernel and a block of 16 x 4 pixels, 108 numbers for each channel in place of 576.
// Invocations of the same channels and neighbouring blocks need the same weights. With subgroups each of them reads a
// part of the weights, and gets the others by a shuffle (the import `lanes`).
//
// Grid: x and y count groups of BLOCK_LANES blocks, z counts groups of CHANNEL_LANES x 4 channels.
// src/ops/conv2d/narrow.rs launches this kernel.

// #import operands
// #import weight
// #import bias
// #import store_result
// #import conv2d/narrow_group
// #import lanes
// #import trip_count

// The number of invocations of a workgroup along the channels, a power of two up to 8.
const CHANNEL_LANES: u32 = 8u;
const BLOCK_LANES: u32 = 64u / CHANNEL_LANES;

// The block of an invocation: STRIP rows of RUN pixels.
const STRIP: u32 = 1u;
const RUN: u32 = 1u;

// A cell is POSITION_STEP_H x POSITION_STEP_W pixels of the result. The number of a pixel in its cell is its phase: pixels
// of one phase have terms at the same positions of the kernel. Without a stride in d_input a cell is one pixel.
const CELLS_H: u32 = (OUT_H + POSITION_STEP_H - 1u) / POSITION_STEP_H;
const CELLS_W: u32 = (OUT_W + POSITION_STEP_W - 1u) / POSITION_STEP_W;
const BLOCKS_H: u32 = (CELLS_H + STRIP - 1u) / STRIP;
const BLOCKS_W: u32 = (CELLS_W + RUN - 1u) / RUN;
const N_PHASES: u32 = POSITION_STEP_H * POSITION_STEP_W;

// The window of a cell has TAPS_H x TAPS_W pixels of the source; that of a run has WINDOW_W columns.
const WINDOW_W: u32 = (RUN - 1u) * WINDOW_STEP_W + TAPS_W;

const N_WEIGHTS: u32 = KERNEL_H * KERNEL_W * GROUP_CHANNELS;
const N_OWN: u32 = (N_WEIGHTS + SHARING_LANES - 1u) / SHARING_LANES;

// An invocation's window, its own part of the weights, and its lane.
struct Operands {
    window: array<array<vec4<f32>, WINDOW_W>, TAPS_H>,
    own: array<vec4<f32>, N_OWN>,
    lane: u32,
}

// Adds the terms of one row of the window to the sums of a phase.
fn add_terms(
    sums: ptr<function, array<vec4<f32>, RUN>>,
    operands: ptr<function, Operands>,
    phase: vec2<u32>,
    tap_h: u32,
) {
    for (var tap_w = 0u; tap_w < TAPS_W; tap_w++) {
        let position = kernel_position(vec2<u32>(tap_h, tap_w), phase);
        if position.x < KERNEL_H && position.y < KERNEL_W {
            for (var k = 0u; k < GROUP_CHANNELS; k++) {
                let ix = (position.x * KERNEL_W + position.y) * GROUP_CHANNELS + k;
                let own = (*operands).own[ix / SHARING_LANES];
                let weight = of_neighbour(own, (*operands).lane, ix % SHARING_LANES);
                for (var i = 0u; i < RUN; i++) {
                    let x = (*operands).window[tap_h][i * WINDOW_STEP_W + tap_w];
                    (*sums)[i] = fma(factors(x, k), weight, (*sums)[i]);
                }
            }
        }
    }
}

// Returns the sums of a phase for the cells of a run.
fn sums_of(operands: ptr<function, Operands>, phase: vec2<u32>) -> array<vec4<f32>, RUN> {
    // Compilers do not unroll a loop over tap_h whose body is this long, so the first three calls are written out.
    var sums: array<vec4<f32>, RUN>;
    add_terms(&sums, operands, phase, 0u);
    if TAPS_H > 1u {
        add_terms(&sums, operands, phase, min(1u, TAPS_H - 1u));
    }
    if TAPS_H > 2u {
        add_terms(&sums, operands, phase, min(2u, TAPS_H - 1u));
    }
    for (var tap_h = 3u; tap_h < TAPS_H; tap_h++) {
        add_terms(&sums, operands, phase, tap_h);
    }
    return sums;
}

fn multiply(workgroup: vec3<u32>, n_workgroups: vec3<u32>, local_ix: u32, lane: u32) {
    let group = workgroup.y * n_workgroups.x + workgroup.x;
    let block = group * BLOCK_LANES + local_ix % BLOCK_LANES;
    let channel = (workgroup.z * CHANNEL_LANES + local_ix / BLOCK_LANES) * 4u;
    let source_channel = min(channel, (IN_CHANNELS - 1u) / 4u * 4u);

    // The first row and column of the block in cells. For the gradient of the input the block is mirrored: its first
    // cell is the last one in memory, because the windows of later pixels begin later there.
    let n = block / (BLOCKS_H * BLOCKS_W);
    let corner = vec2<u32>(block / BLOCKS_W % BLOCKS_H * STRIP, block % BLOCKS_W * RUN);
    let step = vec2<u32>(POSITION_STEP_H, POSITION_STEP_W);
    let last = vec2<u32>(STRIP - 1u, RUN - 1u);
    let first = vec3<u32>(min(n, N - 1u), (corner + select(vec2<u32>(), last, MIRRORED)) * step);

    // Compilers keep the arrays of the operands in registers, because they unroll the loops over them, and every index is
    // then a constant.
    var operands: Operands;
    operands.lane = lane;
    for (var i = 0u; i < N_OWN; i++) {
        operands.own[i] = load_weight(i * SHARING_LANES + lane % SHARING_LANES, channel);
    }
    let bias = vec4<f32>(
        bias_of(channel),
        bias_of(channel + 1u),
        bias_of(channel + 2u),
        bias_of(channel + 3u),
    );
    var row = 0u;
    let n_rows = trip_count(STRIP, n_workgroups);
    for (var t = 0u; t < n_rows; t++) {
        for (; row < t * WINDOW_STEP_H + TAPS_H; row++) {
            for (var i = 0u; i < TAPS_H - 1u; i++) {
                operands.window[i] = operands.window[i + 1u];
            }
            for (var i = 0u; i < WINDOW_W; i++) {
                let position = kernel_position(vec2<u32>(row, i), vec2<u32>());
                let source = source_of(first, position.x, position.y);
                operands.window[TAPS_H - 1u][i] = load_source(source, source_channel);
            }
        }
        for (var p = 0u; p < N_PHASES; p++) {
            let phase = vec2<u32>(p / POSITION_STEP_W, p % POSITION_STEP_W);
            let sums = sums_of(&operands, phase);
            for (var i = 0u; i < RUN; i++) {
                let at = vec2<u32>(t, i);
                let pixel = (corner + select(at, last - at, MIRRORED)) * step + phase;
                if n < N && pixel.x < OUT_H && pixel.y < OUT_W {
                    let first_ix = ((n * OUT_H + pixel.x) * OUT_W + pixel.y) * OUT_CHANNELS;
                    store_result(first_ix, channel, sums[i] + bias);
                }
            }
        }
    }
}
