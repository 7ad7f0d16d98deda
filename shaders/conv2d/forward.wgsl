// Convolution without workgroup memory: an invocation computes 8 pixels x 4 channels in registers.
//
//   result[row, channel] = sum over ky, kx, k of source[pixel of row, under (ky, kx), k] * weight[ky, kx, k, channel]
//
// Here k runs over the source's channels in the group of the channel. In the forward pass, source is x. For the gradient
// of x, source is the gradient of y, and the weight is transposed. The import `operands` makes this choice; other
// imports define the pixel of a row, and how sums are stored. src/ops/conv2d/product.rs chooses the imports.
// forward_tile.wgsl computes the same sums.
//
// A step of the loop reads four numbers each of 8 pixels and a 4 x 4 block of the weight, 48 numbers, for 128
// multiply-adds: 2.7 for each number, against 0.5 in the naive kernel. The invocations of a row of the workgroup have
// neighbouring channels, so their reads of the weight are contiguous. These invocations need the same 8 pixels, and
// those of a column the same weights. Without subgroups, each invocation reads all of them; with subgroups, it reads
// some, and gets the others from its neighbours by a shuffle (the import `lanes`). There is no barrier and no workgroup
// memory, because on software adapters both cost more than they save. The 8 vectors of sums fit into the registers of a
// processor. Grid: x and y count blocks of rows, z counts the splits of split-K, all splits of one block of channels
// before those of the next.

// #import operands
// #import weight
// #import rows
// #import epilogue
// #import emit
// #import conv2d/kernel_rows
// #import lanes
// #import trip_count

// The number of invocations of a workgroup along the channels, a power of two up to 64.
const CHANNEL_LANES: u32 = 8u;
const ROW_LANES: u32 = 64u / CHANNEL_LANES;
// Invocations of the same channels are this number of lanes apart.
const COLUMN_DISTANCE: u32 = CHANNEL_LANES;
// The number of vectors of four result channels of a group. The last ones may have no channel: then all invocations
// that share reads of the source are of one group.
const GROUP_VECTORS: u32 = 1u;
// The number of pixels that an invocation reads itself, at most 8. Compilers keep arrays of this length in registers,
// because they unroll the loops over them, and every index is then a constant.
const N_OWN: u32 = 8u / SHARING_LANES;
// The number of weights of a step that an invocation reads itself, at most 4.
const N_OWN_WEIGHTS: u32 = 4u / COLUMN_SHARING_LANES;

// Adds four terms to each of four sums: x is four channels of a pixel, and w0 to w3 are their weights for the four
// channels of the result.
fn multiply_add4(
    sum: vec4<f32>,
    x: vec4<f32>,
    w0: vec4<f32>,
    w1: vec4<f32>,
    w2: vec4<f32>,
    w3: vec4<f32>,
) -> vec4<f32> {
    let first = fma(vec4<f32>(x.y), w1, fma(vec4<f32>(x.x), w0, sum));
    return fma(vec4<f32>(x.w), w3, fma(vec4<f32>(x.z), w2, first));
}

fn multiply(workgroup: vec3<u32>, n_workgroups: vec3<u32>, local_ix: u32, lane: u32) {
    let block = workgroup.y * n_workgroups.x + workgroup.x;
    let row = (block * ROW_LANES + local_ix / CHANNEL_LANES) * 8u;
    let vector = workgroup.z / N_SPLITS * CHANNEL_LANES + local_ix % CHANNEL_LANES;
    let group = min(vector / GROUP_VECTORS, GROUPS - 1u);
    let column = (vector - group * GROUP_VECTORS) * 4u;
    let exists = column < OUT_CHANNELS / GROUPS;
    let channel = select(OUT_CHANNELS, group * (OUT_CHANNELS / GROUPS) + column, exists);
    let own_row = row + local_ix % SHARING_LANES;
    let first_channel = group * (IN_CHANNELS / GROUPS);
    var sources: array<vec2<u32>, N_OWN>;
    var own: array<vec4<f32>, N_OWN>;
    var own_weights: array<vec4<f32>, N_OWN_WEIGHTS>;
    let column_lane = local_ix / CHANNEL_LANES % COLUMN_SHARING_LANES;
    var s0 = vec4<f32>();
    var s1 = vec4<f32>();
    var s2 = vec4<f32>();
    var s3 = vec4<f32>();
    var s4 = vec4<f32>();
    var s5 = vec4<f32>();
    var s6 = vec4<f32>();
    var s7 = vec4<f32>();
    let split = workgroup.z % N_SPLITS;
    let in_channels = trip_count(IN_CHANNELS / GROUPS, n_workgroups);
    // The shuffles require loop bounds that are the same for all invocations, so these are computed from the first row of
    // the workgroup. All rows of a workgroup are of one phase, or all phases have equally many positions.
    let n = n_positions(first_position(pixel_at(block * ROW_LANES * 8u)));
    let first = first_position(pixel_at(row));
    for (var i = first_kernel_row(split); i < min(first_kernel_row(split + 1u), n.x); i++) {
        let ky = first.x + i * POSITION_STEP_H;
        for (var j = 0u; j < n.y; j++) {
            let kx = first.y + j * POSITION_STEP_W;
            for (var own_ix = 0u; own_ix < N_OWN; own_ix++) {
                let pixel = pixel_at(own_row + own_ix * SHARING_LANES);
                sources[own_ix] = source_of(pixel, ky, kx);
            }
            let weight_row = (ky * KERNEL_W + kx) * (IN_CHANNELS / GROUPS);
            for (var k = 0u; k < in_channels; k += 4u) {
                for (var own_ix = 0u; own_ix < N_OWN; own_ix++) {
                    own[own_ix] = load_source(sources[own_ix], first_channel + k);
                }
                for (var own_ix = 0u; own_ix < N_OWN_WEIGHTS; own_ix++) {
                    let term = k + own_ix * COLUMN_SHARING_LANES + column_lane;
                    own_weights[own_ix] = load_weight(weight_row + term, channel);
                }
                let w0 = of_column_lane(own_weights[0u / COLUMN_SHARING_LANES], lane, 0u % COLUMN_SHARING_LANES);
                let w1 = of_column_lane(own_weights[1u / COLUMN_SHARING_LANES], lane, 1u % COLUMN_SHARING_LANES);
                let w2 = of_column_lane(own_weights[2u / COLUMN_SHARING_LANES], lane, 2u % COLUMN_SHARING_LANES);
                let w3 = of_column_lane(own_weights[3u / COLUMN_SHARING_LANES], lane, 3u % COLUMN_SHARING_LANES);
                let x0 = of_neighbour(own[0u / SHARING_LANES], lane, 0u % SHARING_LANES);
                s0 = multiply_add4(s0, x0, w0, w1, w2, w3);
                let x1 = of_neighbour(own[1u / SHARING_LANES], lane, 1u % SHARING_LANES);
                s1 = multiply_add4(s1, x1, w0, w1, w2, w3);
                let x2 = of_neighbour(own[2u / SHARING_LANES], lane, 2u % SHARING_LANES);
                s2 = multiply_add4(s2, x2, w0, w1, w2, w3);
                let x3 = of_neighbour(own[3u / SHARING_LANES], lane, 3u % SHARING_LANES);
                s3 = multiply_add4(s3, x3, w0, w1, w2, w3);
                let x4 = of_neighbour(own[4u / SHARING_LANES], lane, 4u % SHARING_LANES);
                s4 = multiply_add4(s4, x4, w0, w1, w2, w3);
                let x5 = of_neighbour(own[5u / SHARING_LANES], lane, 5u % SHARING_LANES);
                s5 = multiply_add4(s5, x5, w0, w1, w2, w3);
                let x6 = of_neighbour(own[6u / SHARING_LANES], lane, 6u % SHARING_LANES);
                s6 = multiply_add4(s6, x6, w0, w1, w2, w3);
                let x7 = of_neighbour(own[7u / SHARING_LANES], lane, 7u % SHARING_LANES);
                s7 = multiply_add4(s7, x7, w0, w1, w2, w3);
            }
        }
    }
    let upper = store_rows(split, row, channel, s0, s1, s2, s3);
    let lower = store_rows(split, row + 4u, channel, s4, s5, s6, s7);
    emit(row, channel, merge(upper, lower, row, 4u));
}
