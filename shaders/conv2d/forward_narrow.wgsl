// Convolution with narrow groups, of 1, 2 or 4 channels, in registers: an invocation computes a block of pixels x 4
// channels, STRIP rows of RUN pixels.
//
// The product is that of forward.wgsl, with the same terms in the same order. There the invocations of neighbouring
// channels share the numbers of the source; here their groups differ, and they share nothing. But the windows of
// neighbouring pixels overlap. An invocation moves its window down the rows of the source, and reads each number under
// its block once: for a 3x3 kernel and a block of 4 x 8 pixels, 60 numbers for each channel in place of 288.
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

// The pixels whose row and column have the same remainders by the step of positions form a phase: the same positions of
// the kernel have a term in their sums. A block belongs to one phase. These are the rows and columns of a phase.
const PHASE_H: u32 = (OUT_H + POSITION_STEP_H - 1u) / POSITION_STEP_H;
const PHASE_W: u32 = (OUT_W + POSITION_STEP_W - 1u) / POSITION_STEP_W;
const BLOCKS_H: u32 = (PHASE_H + STRIP - 1u) / STRIP;
const BLOCKS_W: u32 = (PHASE_W + RUN - 1u) / RUN;
const N_PHASES: u32 = POSITION_STEP_H * POSITION_STEP_W;
const PHASE_BLOCKS: u32 = N * BLOCKS_H * BLOCKS_W;
// A workgroup has blocks of one phase, because its invocations share weights.
const PHASE_LANES: u32 = (PHASE_BLOCKS + BLOCK_LANES - 1u) / BLOCK_LANES * BLOCK_LANES;

// A tap is the number of a ky or kx that has a term, counted from the first. The window has TAPS_H rows of the source.
const TAPS_H: u32 = (KERNEL_H + POSITION_STEP_H - 1u) / POSITION_STEP_H;
const TAPS_W: u32 = (KERNEL_W + POSITION_STEP_W - 1u) / POSITION_STEP_W;
const WINDOW_W: u32 = (RUN - 1u) * WINDOW_STEP_W + TAPS_W;

const N_WEIGHTS: u32 = TAPS_H * TAPS_W * GROUP_CHANNELS;
const N_OWN: u32 = (N_WEIGHTS + SHARING_LANES - 1u) / SHARING_LANES;

// Returns the weights of a tap for four channels of the result; `k` is a channel of the group. A tap past the last
// position of the kernel gives zeros.
fn weight_of(ix: u32, first: vec2<u32>, channel: u32) -> vec4<f32> {
    let tap = ix / GROUP_CHANNELS;
    let ky = first.x + tap / TAPS_W * POSITION_STEP_H;
    let kx = first.y + tap % TAPS_W * POSITION_STEP_W;
    let row = (ky * KERNEL_W + kx) * GROUP_CHANNELS + ix % GROUP_CHANNELS;
    let is_term = ky < KERNEL_H && kx < KERNEL_W;
    return select(vec4<f32>(), load_weight(row, channel), vec4<bool>(is_term));
}

// Adds the terms of one ky to the sums.
fn add_terms(
    sums: ptr<function, array<vec4<f32>, RUN>>,
    window: ptr<function, array<array<vec4<f32>, WINDOW_W>, TAPS_H>>,
    own: ptr<function, array<vec4<f32>, N_OWN>>,
    lane: u32,
    tap_h: u32,
) {
    for (var tap_w = 0u; tap_w < TAPS_W; tap_w++) {
        for (var k = 0u; k < GROUP_CHANNELS; k++) {
            let ix = (tap_h * TAPS_W + tap_w) * GROUP_CHANNELS + k;
            let weight = of_neighbour((*own)[ix / SHARING_LANES], lane, ix % SHARING_LANES);
            for (var i = 0u; i < RUN; i++) {
                let x = (*window)[tap_h][i * WINDOW_STEP_W + tap_w];
                (*sums)[i] = fma(factors(x, k), weight, (*sums)[i]);
            }
        }
    }
}

fn multiply(workgroup: vec3<u32>, n_workgroups: vec3<u32>, local_ix: u32, lane: u32) {
    let group = workgroup.y * n_workgroups.x + workgroup.x;
    let block_lane = group * BLOCK_LANES + local_ix % BLOCK_LANES;
    let block = block_lane % PHASE_LANES;
    let channel = (workgroup.z * CHANNEL_LANES + local_ix / BLOCK_LANES) * 4u;
    let source_channel = min(channel, (IN_CHANNELS - 1u) / 4u * 4u);

    // The first row and column of the block in its phase. For the gradient of the input the block is mirrored: its
    // first pixel is the last one in memory, because the windows of later pixels begin later there.
    let n = block / (BLOCKS_H * BLOCKS_W) % N;
    let phase = min(block_lane / PHASE_LANES, N_PHASES - 1u);
    let exists = block < PHASE_BLOCKS && block_lane < N_PHASES * PHASE_LANES;
    let corner = vec2<u32>(block / BLOCKS_W % BLOCKS_H * STRIP, block % BLOCKS_W * RUN);
    let step = vec2<u32>(POSITION_STEP_H, POSITION_STEP_W);
    let offset = vec2<u32>(phase / POSITION_STEP_W, phase % POSITION_STEP_W);
    let start = corner + select(vec2<u32>(), vec2<u32>(STRIP - 1u, RUN - 1u), MIRRORED);
    let pixel = vec3<u32>(n, start * step + offset);
    let first = first_position(pixel);

    // Compilers keep these arrays in registers, because they unroll the loops over them, and every index is then a
    // constant.
    var window: array<array<vec4<f32>, WINDOW_W>, TAPS_H>;
    var own: array<vec4<f32>, N_OWN>;
    for (var i = 0u; i < N_OWN; i++) {
        own[i] = weight_of(i * SHARING_LANES + lane % SHARING_LANES, first, channel);
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
                window[i] = window[i + 1u];
            }
            for (var i = 0u; i < WINDOW_W; i++) {
                let position = first + vec2<u32>(row, i) * step;
                let source = source_of(pixel, position.x, position.y);
                window[TAPS_H - 1u][i] = load_source(source, source_channel);
            }
        }
        // Compilers do not unroll a loop over tap_h whose body is this long, so the first three calls are written out.
        var sums: array<vec4<f32>, RUN>;
        add_terms(&sums, &window, &own, lane, 0u);
        if TAPS_H > 1u {
            add_terms(&sums, &window, &own, lane, min(1u, TAPS_H - 1u));
        }
        if TAPS_H > 2u {
            add_terms(&sums, &window, &own, lane, min(2u, TAPS_H - 1u));
        }
        for (var tap_h = 3u; tap_h < TAPS_H; tap_h++) {
            add_terms(&sums, &window, &own, lane, tap_h);
        }
        for (var i = 0u; i < RUN; i++) {
            let at = vec2<u32>(t, i);
            let place = corner + select(at, vec2<u32>(STRIP - 1u, RUN - 1u) - at, MIRRORED);
            let result = place * step + offset;
            if exists && result.x < OUT_H && result.y < OUT_W {
                let first_ix = ((n * OUT_H + result.x) * OUT_W + result.y) * OUT_CHANNELS;
                store_result(first_ix, channel, sums[i] + bias);
            }
        }
    }
}
