// The gradient of a convolution's weight by register tiles, over slabs of pixels: an invocation sums
// 4 input channels x 16 output channels of one (ky, kx) over one slab.
//
//   partials[slab, ky, kx, ci, co] = sum over the slab's pixels of x[pixel under (ky, kx), ci] * d_out[pixel, co]
//
// There are far more pixels than weights, so the pixels are cut into slabs, as many as the shape asks
// for, and shared/sum_slabs adds them up in a fixed order. A step of the loop takes four input and
// sixteen output channels and makes 64 multiply-adds of them; the output channels are the same for the
// whole workgroup.
// Grid: x counts blocks of 4 input channels over all (ky, kx), y slabs, z blocks of 16 output channels.
// src/ops/conv2d/d_weight.rs launches it.

// #import shared/linear_index
// #import conv2d/geometry
// #import conv2d/channels16
// #import load_x
// #import d_output4

@group(0) @binding(2) var<storage, read_write> partials: array<f32>;

const N_PIXELS: u32 = N * OH * OW;
const PIXELS_PER_SLAB: u32 = 1u;
const CI_BLOCKS: u32 = (CI + 3u) / 4u;

fn store_row(start: u32, ci: u32, co: u32, sum: Channels16) {
    if ci < CI {
        store4(start + ci * CO, co, sum.a);
        store4(start + ci * CO, co + 4u, sum.b);
        store4(start + ci * CO, co + 8u, sum.c);
        store4(start + ci * CO, co + 12u, sum.d);
    }
}

fn store4(start: u32, co: u32, channels: vec4<f32>) {
    if co < CO { partials[start + co] = channels.x; }
    if co + 1u < CO { partials[start + co + 1u] = channels.y; }
    if co + 2u < CO { partials[start + co + 2u] = channels.z; }
    if co + 3u < CO { partials[start + co + 3u] = channels.w; }
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let block = workgroup.x * WORKGROUP_SIZE + local_ix;
    if block >= KERNEL_H * KERNEL_W * CI_BLOCKS {
        return;
    }
    let ci = block % CI_BLOCKS * 4u;
    let kx = block / CI_BLOCKS % KERNEL_W;
    let ky = block / CI_BLOCKS / KERNEL_W;
    let co = workgroup.z * 16u;
    var sum0 = zero16();
    var sum1 = zero16();
    var sum2 = zero16();
    var sum3 = zero16();
    let first = workgroup.y * PIXELS_PER_SLAB;
    let last = min(first + PIXELS_PER_SLAB, N_PIXELS);
    for (var pixel = first; pixel < last; pixel++) {
        let n = pixel / (OH * OW);
        let oy = pixel / OW % OH;
        let ox = pixel % OW;
        let source = d_output_source(n, oy, ox);
        let d_out = Channels16(
            d_output4(source, co),
            d_output4(source, co + 4u),
            d_output4(source, co + 8u),
            d_output4(source, co + 12u),
        );
        let x4 = load_x(input_start(n, oy, ox, ky, kx), ci);
        sum0 = multiply_add(sum0, x4.x, d_out);
        sum1 = multiply_add(sum1, x4.y, d_out);
        sum2 = multiply_add(sum2, x4.z, d_out);
        sum3 = multiply_add(sum3, x4.w, d_out);
    }
    let start = (workgroup.y * KERNEL_H * KERNEL_W + ky * KERNEL_W + kx) * CI * CO;
    store_row(start, ci, co, sum0);
    store_row(start, ci + 1u, co, sum1);
    store_row(start, ci + 2u, co, sum2);
    store_row(start, ci + 3u, co, sum3);
}
