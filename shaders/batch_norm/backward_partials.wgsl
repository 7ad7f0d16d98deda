// The two sums of the backward pass, over one partition of the rows:
//
//   d_gamma[partition, c] = sum of d_y[row, c] * x_hat[row, c]   with x_hat = (x - mean) * inv_std
//   d_beta[partition, c]  = sum of d_y[row, c]
//
// partials is [partitions, 2, channels]: d_gamma, then d_beta. One invocation sums one channel of one partition, and
// batch_norm/backward_sums adds the partial sums. The import `gradient` computes the terms, with or without the mask of
// a ReLU. src/ops/batch_norm/backward.rs launches this kernel.

// #import shared/linear_index
// #import batch_norm/partitions
// #import gradient

@group(0) @binding(PARTIALS_BINDING) var<storage, read_write> partials: array<f32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let ix = linear_index(workgroup, n_workgroups, local_ix);
    if ix >= n_partitions() * n_channels {
        return;
    }
    let c = ix % n_channels;
    let partition_ix = ix / n_channels;
    let first = partition_ix * rows_per_partition;
    let last = min(first + rows_per_partition, n_rows);
    var d_gamma = 0.0;
    var d_beta = 0.0;
    for (var row = first; row < last; row++) {
        let at = row * n_channels + c;
        let x_hat = x_hat_at(at, c);
        let d = gradient_at(at, c, x_hat);
        d_gamma += d * x_hat;
        d_beta += d;
    }
    partials[2u * partition_ix * n_channels + c] = d_gamma;
    partials[(2u * partition_ix + 1u) * n_channels + c] = d_beta;
}
