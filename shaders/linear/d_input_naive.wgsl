// d_x[row, i] = sum over o of d_y[row, o] * weight[i, o]
//
//   d_y [ROWS, FEATURES_OUT],  weight [FEATURES_IN, FEATURES_OUT],  d_x [ROWS, FEATURES_IN]
//
// One invocation computes one element of d_x. Grid: one axis of d_x's elements, folded into two (see
// shared/linear_index). Launched by src/ops/linear.rs; the fast kernel is linear/matmul.

// #import shared/linear_index
// #import linear/geometry

@group(0) @binding(0) var<storage, read> d_y: array<f32>;
@group(0) @binding(1) var<storage, read> weight: array<f32>;
@group(0) @binding(2) var<storage, read_write> d_x: array<f32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let ix = linear_index(workgroup, n_workgroups, local_ix);
    if ix < ROWS * FEATURES_IN {
        let row = ix / FEATURES_IN;
        let i = ix % FEATURES_IN;
        var sum = 0.0;
        for (var o = 0u; o < FEATURES_OUT; o++) {
            sum += d_y[row * FEATURES_OUT + o] * weight[i * FEATURES_OUT + o];
        }
        d_x[ix] = sum;
    }
}
