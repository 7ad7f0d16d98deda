// y[n, oy, ox, c]     = max over (ky, kx) of x[n, oy * stride + ky - padding, ox * stride + kx - padding, c]
// index[n, oy, ox, c] = the first ky * KERNEL_W + kx with that maximum
//
//   x [N, H, W, C],  y, index [N, OH, OW, C]
//
// Padding is never the maximum. A NaN counts as larger than any number; of several NaNs, the last has the
// index.
//
// One invocation computes one element of y and of index. Grid: one axis of y's elements, folded into two (see
// shared/linear_index). Launched by src/ops/max_pool2d.rs.

// #import shared/linear_index
// #import shared/pool_geometry
// #import shared/greater_or_nan

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<storage, read_write> index: array<u32>;

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
    var largest = 0.0;
    var largest_at = 0u;
    var found = false;
    for (var ky = 0u; ky < KERNEL_H; ky++) {
        for (var kx = 0u; kx < KERNEL_W; kx++) {
            // In the padding above and left of the plane, `row` and `column` wrap around as u32 and fail the
            // comparisons with H and W.
            let row = at.y * STRIDE_H + ky - PADDING_H;
            let column = at.z * STRIDE_W + kx - PADDING_W;
            if row >= H || column >= W {
                continue;
            }
            let value = x[((at.x * H + row) * W + column) * C + at.w];
            if !found || greater_or_nan(value, largest) {
                largest = value;
                largest_at = ky * KERNEL_W + kx;
                found = true;
            }
        }
    }
    y[ix] = largest;
    index[ix] = largest_at;
}
