// d_weight[i, o] = sum over rows of x[row, i] * d_y[row, o]
//
//   x [ROWS, FEATURES_IN],  d_y [ROWS, FEATURES_OUT],  d_weight [FEATURES_IN, FEATURES_OUT]
//
// One invocation computes one element of d_weight. Grid: one axis of d_weight's elements, folded into two (see
// shared/linear_index). Launched by src/ops/linear.rs; the fast kernel is linear/matmul.

// #import shared/linear_index
// #import linear/geometry

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> d_y: array<f32>;
@group(0) @binding(2) var<storage, read_write> d_weight: array<f32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let ix = linear_index(workgroup, n_workgroups, local_ix);
    if ix < FEATURES_IN * FEATURES_OUT {
        let i = ix / FEATURES_OUT;
        let o = ix % FEATURES_OUT;
        var sum = 0.0;
        for (var row = 0u; row < ROWS; row++) {
            sum += x[row * FEATURES_IN + i] * d_y[row * FEATURES_OUT + o];
        }
        d_weight[ix] = sum;
    }
}
