// y[n, oy, ox, c] = the weighted mean of x[n, h, w, c] over the four pixels around the place of (oy, ox) in x
//
//   x [N, H, W, C],  y [N, OH, OW, C]
//
// With NEAREST, y is the pixel at or before the place. One invocation computes one element of y. Grid: one axis of y's
// elements, folded into two (see shared/linear_index). Launched by src/ops/resize.rs.

// #import shared/linear_index
// #import resize/axis

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
    let row = taps(rows(), at.y);
    let column = taps(columns(), at.z);
    let above = (at.x * H + row.low) * W;
    if NEAREST {
        y[ix] = x[(above + column.low) * C + at.w];
        return;
    }
    let below = (at.x * H + row.high) * W;
    let left = vec2<f32>(x[(above + column.low) * C + at.w], x[(below + column.low) * C + at.w]);
    let right = vec2<f32>(x[(above + column.high) * C + at.w], x[(below + column.high) * C + at.w]);
    let means = (1.0 - column.weight) * left + column.weight * right;
    y[ix] = (1.0 - row.weight) * means.x + row.weight * means.y;
}
