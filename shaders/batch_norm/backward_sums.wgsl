// Adds the partial sums of d_gamma and d_beta over the partitions of a group, in the order of the partitions.
//
// One invocation adds one channel of one group. More than 32 partitions take several dispatches: the groups of one
// dispatch are the partitions of the next. The import `emit` stores the result. src/ops/batch_norm/backward.rs launches
// this kernel.

// #import shared/linear_index
// #import batch_norm/partitions
// #import emit

// The partial sums, [partitions, 2, channels]: those of d_gamma, then those of d_beta.
@group(0) @binding(3) var<storage, read> partials: array<f32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let ix = linear_index(workgroup, n_workgroups, local_ix);
    if ix >= n_groups() * n_channels {
        return;
    }
    let channel = ix % n_channels;
    let first = ix / n_channels * PARTITIONS_PER_GROUP;
    let last = min(first + PARTITIONS_PER_GROUP, n_partitions());
    var gamma_sum = 0.0;
    var beta_sum = 0.0;
    for (var i = first; i < last; i++) {
        gamma_sum += partials[2u * i * n_channels + channel];
        beta_sum += partials[(2u * i + 1u) * n_channels + channel];
    }
    emit(ix / n_channels, channel, 0.0, gamma_sum, beta_sum);
}
