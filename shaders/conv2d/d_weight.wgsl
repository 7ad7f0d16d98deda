// The gradient of a convolution's weight without workgroup memory: an invocation sums 8 rows (ky, kx, ci) x 4
// output channels over a split of the pixels, in registers.
//
// For each pixel, an invocation needs 8 numbers of x and 4 of d_out, for 32 multiply-adds. The invocations of a row of
// the workgroup have neighbouring channels, so their reads of d_out are contiguous. These invocations need the same
// numbers of x. Without subgroups each invocation reads x at every pixel; with subgroups it reads x at its own pixel,
// and gets the others from its neighbours by a shuffle (the import `lanes`). Grid: x and y count groups of ROW_LANES
// blocks of 8 rows, all blocks of one split before those of the next; z counts blocks of output channels.
// src/ops/conv2d/d_weight.rs launches this kernel; d_weight_tile.wgsl computes the same sums.

// #import conv2d/d_weight_rows
// #import lanes

// The number of invocations of a workgroup along the channels, a power of two up to 8.
const CHANNEL_LANES: u32 = 8u;
const ROW_LANES: u32 = 64u / CHANNEL_LANES;
const ROW_BLOCKS: u32 = (N_ROWS + 7u) / 8u;

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

// The data of an invocation's own pixel: x for the upper four and for the lower four rows of the product, and the
// source from which `d_output4` reads d_out.
struct Own {
    upper: vec4<f32>,
    lower: vec4<f32>,
    source: vec2<u32>,
}

// Adds the terms of the pixel that neighbour i has read.
fn add_pixel(sums: Sums, own: Own, co: u32, lane: u32, i: u32) -> Sums {
    let d_out = d_output4(source_of_neighbour(own.source, lane, i), co);
    let upper = of_neighbour(own.upper, lane, i);
    let lower = of_neighbour(own.lower, lane, i);
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
    let co = (workgroup.z * CHANNEL_LANES + local_ix % CHANNEL_LANES) * 4u;
    let first_channel = first_channel_of(co);
    var sums = Sums();
    let first = split * PIXELS_PER_SPLIT;
    let end = min(first + PIXELS_PER_SPLIT, N_PIXELS);
    // All lanes of a subgroup must take part in every shuffle, but they may have different splits. So the trip count is
    // the same for all lanes.
    for (var i = 0u; i < PIXELS_PER_SPLIT; i += SHARING_LANES) {
        let own_pixel = first + i + local_ix % SHARING_LANES;
        let own = Own(
            load_rows(row, first_channel, own_pixel, end),
            load_rows(row + 4u, first_channel, own_pixel, end),
            source_at(own_pixel, end),
        );
        // One iteration adds the pixels of four neighbours, or of all SHARING_LANES if these are fewer. Fewer
        // iterations are faster on a software adapter: in each iteration it copies every sum, to keep the sums of lanes
        // that have left the loop.
        for (var j = 0u; j < SHARING_LANES; j += 4u) {
            sums = add_pixel(sums, own, co, lane, j);
            if SHARING_LANES > 1u {
                sums = add_pixel(sums, own, co, lane, j + 1u);
            }
            if SHARING_LANES > 2u {
                sums = add_pixel(sums, own, co, lane, j + 2u);
                sums = add_pixel(sums, own, co, lane, j + 3u);
            }
        }
    }
    if split < N_SPLITS {
        store_rows(split, row, co, sums.s0, sums.s1, sums.s2, sums.s3);
        store_rows(split, row + 4u, co, sums.s4, sums.s5, sums.s6, sums.s7);
    }
}
