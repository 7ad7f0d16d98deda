// Convolution by register tiles: an invocation makes 4 pixels x 16 channels of y.
//
//   y[pixel, co] = bias[co] + sum over ky, kx, ci of x[pixel under (ky, kx), ci] * weight[ky, kx, ci, co]
//
// The loop body reads four input channels of 4 pixels and a 4 x 16 block of the weight, 80 numbers, and
// makes 256 multiply-adds of them: 3.2 for each, where the naive kernel makes half of one. All
// invocations of a workgroup share the channels, so the weight is read once for all of them. The sum
// runs over (ky, kx, ci) in the naive kernel's order.
// Grid: x and y count tiles of 4 pixels, z blocks of 16 output channels. No workgroup memory and no
// barrier: on software adapters both cost more than they give. The imports `tile` and `epilogue` decide
// which 4 pixels a tile has and what is stored of them; src/ops/conv2d/forward.rs chooses.

// #import shared/linear_index
// #import conv2d/geometry
// #import conv2d/channels16
// #import load_x
// #import load_weight
// #import tile
// #import epilogue

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let tile = linear_index(workgroup, n_workgroups, local_ix);
    if tile >= N_TILES {
        return;
    }
    let co = workgroup.z * 16u;
    let p0 = tile_pixel(tile, 0u);
    let p1 = tile_pixel(tile, 1u);
    let p2 = tile_pixel(tile, 2u);
    let p3 = tile_pixel(tile, 3u);
    var sum0 = zero16();
    var sum1 = zero16();
    var sum2 = zero16();
    var sum3 = zero16();
    for (var ky = 0u; ky < KERNEL_H; ky++) {
        for (var kx = 0u; kx < KERNEL_W; kx++) {
            let start0 = input_start(p0.x, p0.y, p0.z, ky, kx);
            let start1 = input_start(p1.x, p1.y, p1.z, ky, kx);
            let start2 = input_start(p2.x, p2.y, p2.z, ky, kx);
            let start3 = input_start(p3.x, p3.y, p3.z, ky, kx);
            let row = (ky * KERNEL_W + kx) * CI;
            for (var ci = 0u; ci < CI; ci += 4u) {
                let x0 = load_x(start0, ci);
                let x1 = load_x(start1, ci);
                let x2 = load_x(start2, ci);
                let x3 = load_x(start3, ci);
                var w = load_weight(row + ci, co);
                sum0 = multiply_add(sum0, x0.x, w);
                sum1 = multiply_add(sum1, x1.x, w);
                sum2 = multiply_add(sum2, x2.x, w);
                sum3 = multiply_add(sum3, x3.x, w);
                w = load_weight(row + ci + 1u, co);
                sum0 = multiply_add(sum0, x0.y, w);
                sum1 = multiply_add(sum1, x1.y, w);
                sum2 = multiply_add(sum2, x2.y, w);
                sum3 = multiply_add(sum3, x3.y, w);
                w = load_weight(row + ci + 2u, co);
                sum0 = multiply_add(sum0, x0.z, w);
                sum1 = multiply_add(sum1, x1.z, w);
                sum2 = multiply_add(sum2, x2.z, w);
                sum3 = multiply_add(sum3, x3.z, w);
                w = load_weight(row + ci + 3u, co);
                sum0 = multiply_add(sum0, x0.w, w);
                sum1 = multiply_add(sum1, x1.w, w);
                sum2 = multiply_add(sum2, x2.w, w);
                sum3 = multiply_add(sum3, x3.w, w);
            }
        }
    }
    store_tile(tile, co, sum0, sum1, sum2, sum3);
}
