// y[n, oy, ox, c] = 1/16 * sum over (ky, kx) of f[ky] * f[kx] * x[n, row, column, c]          f = [1, 2, 1]
//
//   row = 2 * oy + ky - 1 and column = 2 * ox + kx - 1, mirrored at the border;  x [N, H, W, C],  y [N, OH, OW, C]
//
// The factors are powers of two, so only the additions round. One invocation computes one element of y. Grid: one axis
// of y's elements, folded into two (see shared/linear_index). Launched by src/ops/blur_pool.rs.

// #import shared/linear_index
// #import shared/pool_geometry
// #import blur_pool/source

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

// Returns the weighted sum of row ky of the window of y[at].
fn row_sum(at: vec4<u32>, ky: u32) -> f32 {
    let row = (at.x * H + source(at.y, ky, H)) * W;
    let left = x[(row + source(at.z, 0u, W)) * C + at.w];
    let middle = x[(row + source(at.z, 1u, W)) * C + at.w];
    let right = x[(row + source(at.z, 2u, W)) * C + at.w];
    return left + 2.0 * middle + right;
}

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
    let sum = row_sum(at, 0u) + 2.0 * row_sum(at, 1u) + row_sum(at, 2u);
    y[ix] = sum / 16.0;
}
