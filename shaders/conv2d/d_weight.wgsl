// The gradient of a convolution's weight without workgroup memory: an invocation sums 8 rows (ky, kx, ci) x 4
// output channels over a split of the pixels, in registers.
//
// For each pixel, an invocation needs 8 numbers of x and 4 of d_out, for 32 multiply-adds. The invocations of a row of
// the workgroup have neighbouring channels, so their reads of d_out are contiguous. These invocations need the same
// numbers of x, and those of a column the same numbers of d_out. Without subgroups each invocation reads both at every
// pixel; with subgroups it reads them at some pixels, and gets the others from its neighbours by a shuffle (the import
// `lanes`). Grid: x and y count groups of ROW_LANES blocks of 8 rows, all blocks of one split before those of the next;
// z counts blocks of output channels.
// src/ops/conv2d/d_weight.rs launches this kernel; d_weight_tile.wgsl computes the same sums.

// #import conv2d/d_weight_rows
// #import lanes

// The number of invocations of a workgroup along the channels, a power of two up to 8.
const CHANNEL_LANES: u32 = 8u;
const ROW_LANES: u32 = 64u / CHANNEL_LANES;
// Invocations of the same channels are this number of lanes apart.
const COLUMN_DISTANCE: u32 = CHANNEL_LANES;
// Invocations that share d_out have the same split, so each split has a multiple of COLUMN_SHARING_LANES blocks.
const ROW_BLOCKS: u32 = (N_ROWS + 8u * COLUMN_SHARING_LANES - 1u) / (8u * COLUMN_SHARING_LANES) * COLUMN_SHARING_LANES;
// The number of vectors of four output channels of a group. The last ones may have no channel.
const GROUP_VECTORS: u32 = 1u;

// The number of pixels in an iteration, and those of which an invocation reads x and d_out. Compilers keep arrays of this
// length in registers, because they unroll the loops over them, and every index is then a constant.
const STEP: u32 = max(SHARING_LANES, COLUMN_SHARING_LANES);
const N_OWN_X: u32 = STEP / SHARING_LANES;
const N_OWN_D_OUT: u32 = STEP / COLUMN_SHARING_LANES;

// The sums of eight rows x four channels.
struct Sums {
    s0: vec4<f32>,
    s1: vec4<f32>,
    s2: vec4<f32>,
    s3: vec4<f32>,
    s4: vec4<f32>,
    s5: vec4<f32>,
    s6: vec4<f32>,
    s7: vec4<f32>,
}

// The operands that an invocation has read: x for the upper four and for the lower four rows of the product, and d_out.
struct Own {
    upper: array<vec4<f32>, N_OWN_X>,
    lower: array<vec4<f32>, N_OWN_X>,
    d_out: array<vec4<f32>, N_OWN_D_OUT>,
}

// Adds the terms of pixel i of an iteration.
fn add_pixel(sums: Sums, own: ptr<function, Own>, lane: u32, i: u32) -> Sums {
    let d_out = of_column_lane((*own).d_out[i / COLUMN_SHARING_LANES], lane, i % COLUMN_SHARING_LANES);
    let upper = of_neighbour((*own).upper[i / SHARING_LANES], lane, i % SHARING_LANES);
    let lower = of_neighbour((*own).lower[i / SHARING_LANES], lane, i % SHARING_LANES);
    return Sums(
        fma(vec4<f32>(upper.x), d_out, sums.s0),
        fma(vec4<f32>(upper.y), d_out, sums.s1),
        fma(vec4<f32>(upper.z), d_out, sums.s2),
        fma(vec4<f32>(upper.w), d_out, sums.s3),
        fma(vec4<f32>(lower.x), d_out, sums.s4),
        fma(vec4<f32>(lower.y), d_out, sums.s5),
        fma(vec4<f32>(lower.z), d_out, sums.s6),
        fma(vec4<f32>(lower.w), d_out, sums.s7),
    );
}

fn multiply(workgroup: vec3<u32>, n_workgroups: vec3<u32>, local_ix: u32, lane: u32) {
    let block = workgroup.y * n_workgroups.x + workgroup.x;
    let row_lane = block * ROW_LANES + local_ix / CHANNEL_LANES;
    let row = row_lane % ROW_BLOCKS * 8u;
    let split = row_lane / ROW_BLOCKS;
    let vector = workgroup.z * CHANNEL_LANES + local_ix % CHANNEL_LANES;
    let group = min(vector / GROUP_VECTORS, GROUPS - 1u);
    let column = (vector - group * GROUP_VECTORS) * 4u;
    let co = select(CO, group * CO_PER_GROUP + column, column < CO_PER_GROUP);
    let first_channel = group * CI_PER_GROUP;
    var sums = Sums();
    let first = split * PIXELS_PER_SPLIT;
    let end = min(first + PIXELS_PER_SPLIT, N_PIXELS);
    // All lanes of a subgroup must take part in every shuffle, but they may have different splits. So the trip count is
    // the same for all lanes.
    let column_lane = local_ix / CHANNEL_LANES % COLUMN_SHARING_LANES;
    var own: Own;
    for (var i = 0u; i < PIXELS_PER_SPLIT; i += STEP) {
        for (var own_ix = 0u; own_ix < N_OWN_X; own_ix++) {
            let pixel = first + i + own_ix * SHARING_LANES + local_ix % SHARING_LANES;
            own.upper[own_ix] = load_rows(row, first_channel, pixel, end);
            own.lower[own_ix] = load_rows(row + 4u, first_channel, pixel, end);
        }
        for (var own_ix = 0u; own_ix < N_OWN_D_OUT; own_ix++) {
            let pixel = first + i + own_ix * COLUMN_SHARING_LANES + column_lane;
            own.d_out[own_ix] = d_output4(source_at(pixel, end), co);
        }
        // One iteration adds four pixels, or all of the step if these are fewer. Fewer iterations are faster on a
        // software adapter: in each iteration it copies every sum, to keep the sums of lanes that have left the loop.
        for (var j = 0u; j < STEP; j += 4u) {
            sums = add_pixel(sums, &own, lane, j);
            if STEP > 1u {
                sums = add_pixel(sums, &own, lane, min(j + 1u, STEP - 1u));
            }
            if STEP > 2u {
                sums = add_pixel(sums, &own, lane, min(j + 2u, STEP - 1u));
                sums = add_pixel(sums, &own, lane, min(j + 3u, STEP - 1u));
            }
        }
    }
    if split < N_SPLITS {
        store_rows(split, row, co, sums.s0, sums.s1, sums.s2, sums.s3);
        store_rows(split, row + 4u, co, sums.s4, sums.s5, sums.s6, sums.s7);
    }
}
