// y[n, oy, ox, c] = 1 / (KERNEL_H * KERNEL_W) * sum over (ky, kx) of
//                   x[n, oy * stride + ky - padding, ox * stride + kx - padding, c]
//
//   x [N, H, W, C],  y [N, OH, OW, C]
//
// The padding's zeros count in the mean, like PyTorch's default count_include_pad=True. One invocation computes one
// element of y. Grid: one axis of y's elements, folded into two (see shared/linear_index). Launched by
// src/ops/avg_pool2d.rs.

// #import shared/linear_index
// #import shared/pool_geometry

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let ix = linear_index(workgroup, n_workgroups, local_ix);
    if ix >= N * OH * OW * C {
        return;
    }
    let at = unflatten(ix, OH, OW);
    var sum = 0.0;
    for (var ky = 0u; ky < KERNEL_H; ky++) {
        // Each row of the window is summed alone, and `sum` adds the row sums: shorter sums have smaller rounding
        // errors.
        var row_sum = 0.0;
        for (var kx = 0u; kx < KERNEL_W; kx++) {
            // In the padding above and left of the plane, `row` and `column` wrap around as u32 and fail the
            // comparisons with H and W.
            let row = at.y * STRIDE_H + ky - PADDING_H;
            let column = at.z * STRIDE_W + kx - PADDING_W;
            if row < H && column < W {
                row_sum += x[((at.x * H + row) * W + column) * C + at.w];
            }
        }
        sum += row_sum;
    }
    y[ix] = sum / f32(KERNEL_H * KERNEL_W);
}
