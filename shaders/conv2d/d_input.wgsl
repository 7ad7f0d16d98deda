// The gradient of a convolution's input by register tiles: an invocation makes 4 pixels x 16 input
// channels of d_x.
//
//   d_x[n, h, w, ci] = sum over ky, kx, co of d_out[n, oy, ox, co] * weight[ky, kx, ci, co]
//
// where oy * stride + ky - padding = h and ox * stride + kx - padding = w. It is the forward pass with
// the weight read along its rows: a step of the loop takes four output channels of 4 pixels and of 16
// rows of the weight, and makes 256 multiply-adds of them. All invocations of a workgroup share the
// input channels, so the weight is read once for all of them.
// Grid: x and y count tiles of 4 pixels, z blocks of 16 input channels. The import `d_output4` reads the
// gradient as it lies in memory, or through the index of a max pool. src/ops/conv2d/d_input.rs.

// #import shared/linear_index
// #import conv2d/geometry
// #import conv2d/channels16
// #import load_weight_row
// #import d_output4
// #import store_d_x

const N_PIXELS: u32 = N * H * W;

// The source of d_out that the weight at (ky, kx) connects to the input pixel.
fn source_of(pixel: u32, ky: u32, kx: u32) -> vec2<u32> {
    // Below zero these wrap around and so fail the comparison with OH and OW.
    let row = pixel / W % H + PADDING_H - ky;
    let column = pixel % W + PADDING_W - kx;
    if pixel >= N_PIXELS || row % STRIDE_H != 0u || column % STRIDE_W != 0u
        || row / STRIDE_H >= OH || column / STRIDE_W >= OW {
        return vec2<u32>(OUTSIDE, 0u);
    }
    return d_output_source(pixel / (H * W), row / STRIDE_H, column / STRIDE_W);
}

struct Sums {
    p0: vec4<f32>,
    p1: vec4<f32>,
    p2: vec4<f32>,
    p3: vec4<f32>,
}

// Adds what four input channels, from the weight's row `row` on, get from four output channels.
fn add_rows(sums: Sums, row: u32, co: u32, d: Sums) -> Sums {
    let w0 = load_weight_row(row, co);
    let w1 = load_weight_row(row + 1u, co);
    let w2 = load_weight_row(row + 2u, co);
    let w3 = load_weight_row(row + 3u, co);
    let x = vec4<f32>(w0.x, w1.x, w2.x, w3.x);
    let y = vec4<f32>(w0.y, w1.y, w2.y, w3.y);
    let z = vec4<f32>(w0.z, w1.z, w2.z, w3.z);
    let w = vec4<f32>(w0.w, w1.w, w2.w, w3.w);
    return Sums(
        sums.p0 + d.p0.x * x + d.p0.y * y + d.p0.z * z + d.p0.w * w,
        sums.p1 + d.p1.x * x + d.p1.y * y + d.p1.z * z + d.p1.w * w,
        sums.p2 + d.p2.x * x + d.p2.y * y + d.p2.z * z + d.p2.w * w,
        sums.p3 + d.p3.x * x + d.p3.y * y + d.p3.z * z + d.p3.w * w,
    );
}

fn store_sums(pixel: u32, ci: u32, sums: Sums) {
    if pixel < N_PIXELS { store_d_x(pixel * CI, ci, sums.p0); }
    if pixel + 1u < N_PIXELS { store_d_x((pixel + 1u) * CI, ci, sums.p1); }
    if pixel + 2u < N_PIXELS { store_d_x((pixel + 2u) * CI, ci, sums.p2); }
    if pixel + 3u < N_PIXELS { store_d_x((pixel + 3u) * CI, ci, sums.p3); }
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let pixel = linear_index(workgroup, n_workgroups, local_ix) * 4u;
    if pixel >= N_PIXELS {
        return;
    }
    let ci = workgroup.z * 16u;
    let zeros = Sums(vec4<f32>(), vec4<f32>(), vec4<f32>(), vec4<f32>());
    var a = zeros;
    var b = zeros;
    var c = zeros;
    var d = zeros;
    for (var ky = 0u; ky < KERNEL_H; ky++) {
        for (var kx = 0u; kx < KERNEL_W; kx++) {
            let source0 = source_of(pixel, ky, kx);
            let source1 = source_of(pixel + 1u, ky, kx);
            let source2 = source_of(pixel + 2u, ky, kx);
            let source3 = source_of(pixel + 3u, ky, kx);
            let row = (ky * KERNEL_W + kx) * CI + ci;
            for (var co = 0u; co < CO; co += 4u) {
                let d_out = Sums(
                    d_output4(source0, co),
                    d_output4(source1, co),
                    d_output4(source2, co),
                    d_output4(source3, co),
                );
                a = add_rows(a, row, co, d_out);
                b = add_rows(b, row + 4u, co, d_out);
                c = add_rows(c, row + 8u, co, d_out);
                d = add_rows(d, row + 12u, co, d_out);
            }
        }
    }
    store_sums(pixel, ci, a);
    store_sums(pixel, ci + 4u, b);
    store_sums(pixel, ci + 8u, c);
    store_sums(pixel, ci + 12u, d);
}
