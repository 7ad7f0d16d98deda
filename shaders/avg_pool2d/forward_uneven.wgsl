// y[n, oy, ox, c] = 1 / divisor(oy, ox) * sum of x[n, row, column, c] over the rows and columns of window (oy, ox)
//
//   x [N, H, W, C],  y [N, OH, OW, C]
//
// The windows have different sizes or divisors. Where all windows have one divisor, forward.wgsl is launched instead.
// The import `windows` has the geometry. One invocation computes one element of y. Grid: one axis of y's elements,
// folded into two (see shared/linear_index). Launched by src/ops/avg_pool2d.rs.

// #import shared/linear_index
// #import shared/pool_geometry
// #import windows

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
    let rows = rows_of(at.y);
    let columns = columns_of(at.z);
    var sum = 0.0;
    for (var row = rows.first; row < rows.end; row++) {
        // Each row of the window is summed alone, and `sum` adds the row sums: shorter sums have smaller rounding
        // errors.
        var row_sum = 0.0;
        for (var column = columns.first; column < columns.end; column++) {
            row_sum += x[((at.x * H + row) * W + column) * C + at.w];
        }
        sum += row_sum;
    }
    y[ix] = sum / f32(rows.divisor * columns.divisor);
}
