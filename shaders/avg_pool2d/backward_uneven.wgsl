// d_x[n, h, w, c] = sum of d_y[n, oy, ox, c] / divisor(oy, ox) over the windows (oy, ox) that contain x[n, h, w, c]
//
//   d_y [N, OH, OW, C],  d_x [N, H, W, C]
//
// The windows have different sizes or divisors. Where all windows have one divisor, backward.wgsl is launched instead.
// The import `windows` has the geometry. One invocation gathers one element of d_x from all its windows, so
// overlapping windows need no atomics. Grid: one axis of d_x's elements, folded into two (see shared/linear_index).
// Launched by src/ops/avg_pool2d.rs.

// #import shared/linear_index
// #import shared/pool_geometry
// #import windows

@group(0) @binding(0) var<storage, read> d_y: array<f32>;
@group(0) @binding(1) var<storage, read_write> d_x: array<f32>;

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
    let rows = over_row(at.y);
    let columns = over_column(at.z);
    var sum = 0.0;
    for (var oy = rows.x; oy < rows.y; oy++) {
        for (var ox = columns.x; ox < columns.y; ox++) {
            let divisor = rows_of(oy).divisor * columns_of(ox).divisor;
            sum += d_y[((at.x * OH + oy) * OW + ox) * C + at.w] / f32(divisor);
        }
    }
    d_x[ix] = sum;
}
