// y[row, c] = (x[row, c] - running_mean[c]) / sqrt(running_var[c] + EPS) * gamma[c] + beta[c]
//
// Evaluation, with the running statistics of training. One invocation computes one element. src/ops/batch_norm/eval.rs
// launches this kernel.

// #import shared/linear_index
// #import batch_norm/geometry

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> gamma: array<f32>;
@group(0) @binding(2) var<storage, read> beta: array<f32>;
@group(0) @binding(3) var<storage, read> running_mean: array<f32>;
@group(0) @binding(4) var<storage, read> running_var: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let ix = linear_index(workgroup, n_workgroups, local_ix);
    if ix < arrayLength(&y) {
        let c = ix % CHANNELS;
        let inv_std = 1.0 / sqrt(running_var[c] + EPS);
        y[ix] = (x[ix] - running_mean[c]) * inv_std * gamma[c] + beta[c];
    }
}
