// d_x[n, h, w, c] = sum of d_y[n, oy, ox, c] over the windows (oy, ox) whose maximum is x[n, h, w, c]
//
//   d_y, index [N, OH, OW, C],  d_x [N, H, W, C]
//
// `index` holds the position of each window's maximum, written by max_pool2d/forward. One invocation gathers one
// element of d_x from all windows that contain it, so overlapping windows need no atomics. Grid: one axis of d_x's
// elements, folded into two (see shared/linear_index). Launched by src/ops/max_pool2d.rs.

// #import shared/linear_index
// #import shared/pool_geometry

@group(0) @binding(0) var<storage, read> d_y: array<f32>;
@group(0) @binding(1) var<storage, read> index: array<u32>;
@group(0) @binding(2) var<storage, read_write> d_x: array<f32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let ix = linear_index(workgroup, n_workgroups, local_ix);
    if ix >= N * H * W * C {
        return;
    }
    let at = unflatten(ix, H, W);
    var sum = 0.0;
    for (var ky = 0u; ky < KERNEL_H; ky++) {
        for (var kx = 0u; kx < KERNEL_W; kx++) {
            // Below zero, `row` and `column` wrap around as u32 and fail the comparisons with OH and OW.
            let row = at.y + PADDING_H - ky;
            let column = at.z + PADDING_W - kx;
            if row % STRIDE_H != 0u || column % STRIDE_W != 0u
                || row / STRIDE_H >= OH || column / STRIDE_W >= OW {
                continue;
            }
            let out_ix = ((at.x * OH + row / STRIDE_H) * OW + column / STRIDE_W) * C + at.w;
            if index[out_ix] == ky * KERNEL_W + kx {
                sum += d_y[out_ix];
            }
        }
    }
    d_x[ix] = sum;
}
