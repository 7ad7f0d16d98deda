// y[row, c] = (x[row, c] - mean[c]) * inv_std[c] * gamma[c] + beta[c]
//
// One invocation computes one element. src/ops/batch_norm/forward.rs launches this kernel.

// #import shared/linear_index
// #import batch_norm/geometry

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> gamma: array<f32>;
@group(0) @binding(2) var<storage, read> beta: array<f32>;
@group(0) @binding(3) var<storage, read> mean: array<f32>;
@group(0) @binding(4) var<storage, read> inv_std: array<f32>;
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
        y[ix] = (x[ix] - mean[c]) * inv_std[c] * gamma[c] + beta[c];
    }
}
