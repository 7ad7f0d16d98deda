// The two sums of the backward pass, over one slab of rows:
//
//   d_gamma[slab, c] = sum of d_y[row, c] * x_hat[row, c]   with x_hat = (x - mean) * inv_std
//   d_beta[slab, c]  = sum of d_y[row, c]
//
// partials holds [2, N_SLABS, CHANNELS]: d_gamma, then d_beta. One invocation makes one channel of one
// slab. batch_norm/backward_sums adds up the slabs. src/ops/batch_norm/backward.rs.

// #import shared/linear_index
// #import batch_norm/geometry

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> d_y: array<f32>;
@group(0) @binding(2) var<storage, read> mean: array<f32>;
@group(0) @binding(3) var<storage, read> inv_std: array<f32>;
@group(0) @binding(4) var<storage, read_write> partials: array<f32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let ix = linear_index(workgroup, n_workgroups, local_ix);
    if ix >= N_SLABS * CHANNELS {
        return;
    }
    let c = ix % CHANNELS;
    let first = ix / CHANNELS * ROWS_PER_SLAB;
    let last = min(first + ROWS_PER_SLAB, ROWS);
    var d_gamma = 0.0;
    var d_beta = 0.0;
    for (var row = first; row < last; row++) {
        let d = d_y[row * CHANNELS + c];
        d_gamma += d * ((x[row * CHANNELS + c] - mean[c]) * inv_std[c]);
        d_beta += d;
    }
    partials[ix] = d_gamma;
    partials[N_SLABS * CHANNELS + ix] = d_beta;
}
