// d_x = gamma * inv_std * (d - d_beta / n - x_hat * d_gamma / n)     x_hat = (x - mean) * inv_std
//
// Here d is d_y where the input of the ReLU after the batch norm is positive, and 0 elsewhere. The kernel recomputes
// this input from x. One invocation computes four channels of one row. src/ops/batch_norm/relu.rs launches this kernel.

// #import shared/linear_index
// #import batch_norm/bn_affine4

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> d_y: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> d_gamma: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> d_beta: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> d_x: array<vec4<f32>>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let ix = linear_index(workgroup, n_workgroups, local_ix);
    if ix < arrayLength(&d_x) {
        let group = ix % GROUPS;
        let n = f32(arrayLength(&d_x) / GROUPS);
        let x_hat = x_hat4(x[ix], group);
        let d = select(vec4<f32>(), d_y[ix], normalised4(x_hat, group) > vec4<f32>());
        let centred = d - d_beta[group] / n - x_hat * (d_gamma[group] / n);
        d_x[ix] = bn_affine[2u * GROUPS + group] * bn_affine[GROUPS + group] * centred;
    }
}
