// The gradient of a convolution's weight without workgroup memory: an invocation sums 8 rows (ky, kx, ci) x 4
// output channels over a slab of pixels, in registers.
//
// A step of the loop takes one pixel: 8 numbers of x and 4 of d_out make 32 multiply-adds. The invocations
// of a row of the workgroup have neighbouring channels, so they read d_out side by side and x together.
// Grid: x counts blocks of rows, y slabs, z blocks of output channels. src/ops/conv2d/d_weight.rs launches
// it; d_weight_tile.wgsl makes the same sums.

// #import conv2d/d_weight_rows

// Invocations of a workgroup that stand side by side along the channels, a power of two up to 8.
const CHANNEL_LANES: u32 = 8u;
const ROW_LANES: u32 = 64u / CHANNEL_LANES;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let row = (workgroup.x * ROW_LANES + local_ix / CHANNEL_LANES) * 8u;
    let co = (workgroup.z * CHANNEL_LANES + local_ix % CHANNEL_LANES) * 4u;
    if row >= N_ROWS || co >= CO {
        return;
    }
    // The lower four rows may be past the last; they are then the upper ones once more, and not stored.
    let lower = select(row, row + 4u, row + 4u < N_ROWS);
    var s0 = vec4<f32>();
    var s1 = vec4<f32>();
    var s2 = vec4<f32>();
    var s3 = vec4<f32>();
    var s4 = vec4<f32>();
    var s5 = vec4<f32>();
    var s6 = vec4<f32>();
    var s7 = vec4<f32>();
    let first = workgroup.y * PIXELS_PER_SLAB;
    let last = min(first + PIXELS_PER_SLAB, N_PIXELS);
    for (var pixel = first; pixel < last; pixel++) {
        let n = pixel / (OH * OW);
        let oy = pixel / OW % OH;
        let ox = pixel % OW;
        let d_out = d_output4(d_output_source(n, oy, ox), co);
        let x0 = load_rows(row, n, oy, ox);
        let x4 = load_rows(lower, n, oy, ox);
        s0 = fma(vec4<f32>(x0.x), d_out, s0);
        s1 = fma(vec4<f32>(x0.y), d_out, s1);
        s2 = fma(vec4<f32>(x0.z), d_out, s2);
        s3 = fma(vec4<f32>(x0.w), d_out, s3);
        s4 = fma(vec4<f32>(x4.x), d_out, s4);
        s5 = fma(vec4<f32>(x4.y), d_out, s5);
        s6 = fma(vec4<f32>(x4.z), d_out, s6);
        s7 = fma(vec4<f32>(x4.w), d_out, s7);
    }
    store_rows(workgroup.y, row, co, s0, s1, s2, s3);
    store_rows(workgroup.y, row + 4u, co, s4, s5, s6, s7);
}
