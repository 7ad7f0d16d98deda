// Convolution with narrow groups, of 1, 2, 4, 8 or 16 channels, in registers: an invocation computes a block of pixels x
// 4 channels, STRIP rows of RUN pixels.
//
// The product is that of forward.wgsl, with the same terms in the same order. There the invocations of neighbouring
// channels share the numbers of the source; here most of their groups differ. But the windows of neighbouring pixels
// overlap. An invocation moves its window down the rows of the source, and reads each number under its block once: for a
// 3x3 kernel and a block of 16 x 4 pixels, 108 numbers for each channel in place of 576. Invocations of the same channels
// and neighbouring blocks need the same weights, and the invocations of a group of 8 or 16 channels the same numbers of
// the source. With subgroups each of them reads a part, and gets the others by a shuffle (the import `lanes`).
//
// Grid: x and y count groups of BLOCK_LANES blocks, z counts groups of CHANNEL_LANES x 4 channels.
// src/ops/conv2d/narrow.rs launches this kernel.

// #import operands
// #import weight
// #import bias
// #import store_result
// #import conv2d/narrow_sums
// #import lanes
// #import trip_count

// The number of invocations of a workgroup along the channels, a power of two up to 8.
const CHANNEL_LANES: u32 = 8u;
const BLOCK_LANES: u32 = 64u / CHANNEL_LANES;
// Invocations of the same channels are this number of lanes apart.
const COLUMN_DISTANCE: u32 = GROUP_VECTORS;

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

const STEP: vec2<u32> = vec2<u32>(POSITION_STEP_H, POSITION_STEP_W);
const LAST: vec2<u32> = vec2<u32>(STRIP - 1u, RUN - 1u);

// The image of a block, its first row and column in cells, its first channel, and the bias of its channels.
struct Block {
    n: u32,
    corner: vec2<u32>,
    channel: u32,
    bias: vec4<f32>,
}

// Stores the results of phase p of the cells in row t of a block.
fn store_phase(operands: ptr<function, Operands>, block: Block, t: u32, p: u32) {
    let phase = vec2<u32>(p / POSITION_STEP_W, p % POSITION_STEP_W);
    let sums = sums_of(operands, phase);
    for (var i = 0u; i < RUN; i++) {
        let at = vec2<u32>(t, i);
        let pixel = (block.corner + select(at, LAST - at, MIRRORED)) * STEP + phase;
        if block.n < N && pixel.x < OUT_H && pixel.y < OUT_W {
            let first_ix = ((block.n * OUT_H + pixel.x) * OUT_W + pixel.y) * OUT_CHANNELS;
            store_result(first_ix, block.channel, sums[i] + block.bias);
        }
    }
}

fn multiply(workgroup: vec3<u32>, n_workgroups: vec3<u32>, local_ix: u32, lane: u32) {
    let group = workgroup.y * n_workgroups.x + workgroup.x;
    let block_ix = group * BLOCK_LANES + local_ix / GROUP_VECTORS % BLOCK_LANES;
    let vector = local_ix / GROUP_VECTORS / BLOCK_LANES * GROUP_VECTORS + local_ix % GROUP_VECTORS;
    let channel = (workgroup.z * CHANNEL_LANES + vector) * 4u;
    let source_channel = min(channel, (IN_CHANNELS - 1u) / 4u * 4u);

    // For the gradient of the input the block is mirrored: its first cell is the last one in memory, because the windows of
    // later pixels begin later there.
    let n = block_ix / (BLOCKS_H * BLOCKS_W);
    let corner = vec2<u32>(block_ix / BLOCKS_W % BLOCKS_H * STRIP, block_ix % BLOCKS_W * RUN);
    let first = vec3<u32>(min(n, N - 1u), (corner + select(vec2<u32>(), LAST, MIRRORED)) * STEP);

    // Compilers keep the arrays of the operands in registers, because they unroll the loops over them, and every index is
    // then a constant.
    var operands: Operands;
    operands.lane = lane;
    let column_lane = lane / COLUMN_DISTANCE % COLUMN_SHARING_LANES;
    for (var i = 0u; i < N_OWN; i++) {
        operands.own[i] = load_weight(i * COLUMN_SHARING_LANES + column_lane, channel);
    }
    let bias = vec4<f32>(
        bias_of(channel),
        bias_of(channel + 1u),
        bias_of(channel + 2u),
        bias_of(channel + 3u),
    );
    let block = Block(n, corner, channel, bias);
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
                let own = load_source(source, source_channel);
                for (var v = 0u; v < GROUP_VECTORS; v++) {
                    operands.window[TAPS_H - 1u][i][v] = of_neighbour(own, lane, v);
                }
            }
        }
        // Compilers do not unroll a loop over the phases, so the first four calls are written out.
        store_phase(&operands, block, t, 0u);
        if N_PHASES > 1u {
            store_phase(&operands, block, t, 1u);
        }
        if N_PHASES > 2u {
            store_phase(&operands, block, t, 2u);
        }
        if N_PHASES > 3u {
            store_phase(&operands, block, t, 3u);
        }
        for (var p = 4u; p < N_PHASES; p++) {
            store_phase(&operands, block, t, p);
        }
    }
}
