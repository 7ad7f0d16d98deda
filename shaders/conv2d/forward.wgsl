// Convolution without workgroup memory: an invocation makes 8 pixels x 4 channels in registers.
//
//   result[row, channel] = sum over ky, kx, k of source[pixel of row, under (ky, kx), k] * weight[ky, kx, k, channel]
//
// A step of the loop reads four numbers each of 8 pixels and a 4 x 4 block of the weight, 48 numbers, and
// makes 128 multiply-adds of them: 2.7 for each, where the naive kernel makes half of one. The invocations
// of a row of the workgroup have neighbouring channels, so they read the weight side by side and the
// pixels together. There is no barrier: on software adapters that, and workgroup memory, cost more than they
// give; and 8 sums are what the registers of a processor hold.
// Grid: x and y count blocks of rows, z blocks of channels, each with its part of the kernel's rows. The
// imports decide what the product is (forward or gradient of the input), which pixels are its rows,
// and what becomes of the sums; src/ops/conv2d/product.rs chooses. forward_tile.wgsl makes the same sums.

// #import operands
// #import weight
// #import rows
// #import epilogue
// #import conv2d/kernel_rows

// Invocations of a workgroup that stand side by side along the channels, a power of two up to 8.
const CHANNEL_LANES: u32 = 8u;
const ROW_LANES: u32 = 64u / CHANNEL_LANES;

// Adds what four channels of a pixel contribute to four channels of the result.
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

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let block = workgroup.y * n_workgroups.x + workgroup.x;
    let row = (block * ROW_LANES + local_ix / CHANNEL_LANES) * 8u;
    let channel = (workgroup.z / N_PARTS * CHANNEL_LANES + local_ix % CHANNEL_LANES) * 4u;
    if row >= N_ROWS || channel >= OUT_CHANNELS {
        return;
    }
    let p0 = pixel_at(row);
    let p1 = pixel_at(row + 1u);
    let p2 = pixel_at(row + 2u);
    let p3 = pixel_at(row + 3u);
    let p4 = pixel_at(row + 4u);
    let p5 = pixel_at(row + 5u);
    let p6 = pixel_at(row + 6u);
    let p7 = pixel_at(row + 7u);
    var s0 = vec4<f32>();
    var s1 = vec4<f32>();
    var s2 = vec4<f32>();
    var s3 = vec4<f32>();
    var s4 = vec4<f32>();
    var s5 = vec4<f32>();
    var s6 = vec4<f32>();
    var s7 = vec4<f32>();
    let part = workgroup.z % N_PARTS;
    for (var ky = first_kernel_row(part); ky < first_kernel_row(part + 1u); ky++) {
        for (var kx = 0u; kx < KERNEL_W; kx++) {
            let source0 = source_of(p0, ky, kx);
            let source1 = source_of(p1, ky, kx);
            let source2 = source_of(p2, ky, kx);
            let source3 = source_of(p3, ky, kx);
            let source4 = source_of(p4, ky, kx);
            let source5 = source_of(p5, ky, kx);
            let source6 = source_of(p6, ky, kx);
            let source7 = source_of(p7, ky, kx);
            let weight_row = (ky * KERNEL_W + kx) * IN_CHANNELS;
            for (var k = 0u; k < IN_CHANNELS; k += 4u) {
                let w0 = load_weight(weight_row + k, channel);
                let w1 = load_weight(weight_row + k + 1u, channel);
                let w2 = load_weight(weight_row + k + 2u, channel);
                let w3 = load_weight(weight_row + k + 3u, channel);
                s0 = multiply_add4(s0, load_source(source0, k), w0, w1, w2, w3);
                s1 = multiply_add4(s1, load_source(source1, k), w0, w1, w2, w3);
                s2 = multiply_add4(s2, load_source(source2, k), w0, w1, w2, w3);
                s3 = multiply_add4(s3, load_source(source3, k), w0, w1, w2, w3);
                s4 = multiply_add4(s4, load_source(source4, k), w0, w1, w2, w3);
                s5 = multiply_add4(s5, load_source(source5, k), w0, w1, w2, w3);
                s6 = multiply_add4(s6, load_source(source6, k), w0, w1, w2, w3);
                s7 = multiply_add4(s7, load_source(source7, k), w0, w1, w2, w3);
            }
        }
    }
    store_rows(part, row, channel, s0, s1, s2, s3);
    store_rows(part, row + 4u, channel, s4, s5, s6, s7);
}
