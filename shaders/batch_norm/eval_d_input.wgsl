// d_x[row, c] = d_y[row, c] * gamma[c] / sqrt(running_var[c] + EPS)
//
// The gradient of x in evaluation, where the statistics do not depend on x. One invocation computes one element.
// src/ops/batch_norm/eval.rs launches this kernel.

// #import shared/linear_index
// #import batch_norm/geometry

@group(0) @binding(0) var<storage, read> d_y: array<f32>;
@group(0) @binding(1) var<storage, read> gamma: array<f32>;
@group(0) @binding(2) var<storage, read> running_var: array<f32>;
@group(0) @binding(3) var<storage, read_write> d_x: array<f32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let ix = linear_index(workgroup, n_workgroups, local_ix);
    if ix < arrayLength(&d_x) {
        let c = ix % CHANNELS;
        let inv_std = 1.0 / sqrt(running_var[c] + EPS);
        d_x[ix] = d_y[ix] * (gamma[c] * inv_std);
    }
}
