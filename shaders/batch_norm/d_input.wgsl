// d_x = gamma * inv_std * (d_y - d_beta / n - x_hat * d_gamma / n)     x_hat = (x - mean) * inv_std
//
// The formula holds for each channel. It subtracts the components of d_y that only shift the mean or scale the
// deviations, because the normalisation removes such changes of x. One invocation computes one element.
// src/ops/batch_norm/backward.rs launches this kernel.

// #import shared/linear_index
// #import batch_norm/geometry

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> d_y: array<f32>;
@group(0) @binding(2) var<storage, read> mean: array<f32>;
@group(0) @binding(3) var<storage, read> inv_std: array<f32>;
@group(0) @binding(4) var<storage, read> gamma: array<f32>;
@group(0) @binding(5) var<storage, read> d_gamma: array<f32>;
@group(0) @binding(6) var<storage, read> d_beta: array<f32>;
@group(0) @binding(7) var<storage, read_write> d_x: array<f32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let ix = linear_index(workgroup, n_workgroups, local_ix);
    if ix < arrayLength(&d_x) {
        let c = ix % CHANNELS;
        let n = f32(arrayLength(&d_x) / CHANNELS);
        let x_hat = (x[ix] - mean[c]) * inv_std[c];
        let centred = d_y[ix] - d_beta[c] / n - x_hat * (d_gamma[c] / n);
        d_x[ix] = gamma[c] * inv_std[c] * centred;
    }
}
