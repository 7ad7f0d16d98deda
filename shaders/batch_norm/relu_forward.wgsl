// y[row, c] = max((x[row, c] - mean[c]) * inv_std[c] * gamma[c] + beta[c], 0) (+ residual[row, c])
//
// Batch norm, ReLU and the addition of a residual in one pass over memory. One invocation computes four channels of one
// row. src/ops/batch_norm/relu.rs launches this kernel.

// #import shared/linear_index
// #import batch_norm/bn_affine4
// #import residual

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let ix = linear_index(workgroup, n_workgroups, local_ix);
    if ix < arrayLength(&y) {
        let group = ix % GROUPS;
        let v = normalised4(x_hat4(x[ix], group), group);
        // With this comparison, a NaN stays a NaN, as in PyTorch.
        y[ix] = select(v, vec4<f32>(), v <= vec4<f32>()) + residual_at(ix);
    }
}
