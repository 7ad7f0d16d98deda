// The two sums of the backward pass, over one slab of rows:
//
//   d_gamma[slab, c] = sum of d_y[row, c] * x_hat[row, c]   with x_hat = (x - mean) * inv_std
//   d_beta[slab, c]  = sum of d_y[row, c]
//
// partials holds [N_SLABS, 2, CHANNELS]: d_gamma, then d_beta. One invocation makes one channel of one
// slab. batch_norm/backward_sums adds up the slabs. The import `gradient` lets a ReLU's mask in.
// src/ops/batch_norm/backward.rs.

// #import shared/linear_index
// #import batch_norm/geometry
// #import gradient

@group(0) @binding(PARTIALS_BINDING) var<storage, read_write> partials: array<f32>;

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
    let slab = ix / CHANNELS;
    let first = slab * ROWS_PER_SLAB;
    let last = min(first + ROWS_PER_SLAB, ROWS);
    var d_gamma = 0.0;
    var d_beta = 0.0;
    for (var row = first; row < last; row++) {
        let at = row * CHANNELS + c;
        let x_hat = x_hat_at(at, c);
        let d = gradient_at(at, c, x_hat);
        d_gamma += d * x_hat;
        d_beta += d;
    }
    partials[2u * slab * CHANNELS + c] = d_gamma;
    partials[(2u * slab + 1u) * CHANNELS + c] = d_beta;
}
