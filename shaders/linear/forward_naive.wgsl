// y[row, o] = bias[o] + sum over i of x[row, i] * weight[i, o]
//
//   x [ROWS, FEATURES_IN],  weight [FEATURES_IN, FEATURES_OUT],  y [ROWS, FEATURES_OUT]
//
// One invocation computes one element of y. Grid: one axis of y's elements, folded into two (see shared/linear_index).
// Launched by src/ops/linear.rs; the fast kernel is linear/matmul.

// #import shared/linear_index
// #import linear/geometry
// #import bias

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> weight: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let ix = linear_index(workgroup, n_workgroups, local_ix);
    if ix < ROWS * FEATURES_OUT {
        let row = ix / FEATURES_OUT;
        let o = ix % FEATURES_OUT;
        var sum = 0.0;
        for (var i = 0u; i < FEATURES_IN; i++) {
            sum += x[row * FEATURES_IN + i] * weight[i * FEATURES_OUT + o];
        }
        y[ix] = sum + bias_of(o);
    }
}
