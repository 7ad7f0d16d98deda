// Adds up the slabs of a group of backward_slabs in their order.
//
// Where there are many slabs this runs twice: first into groups, which are the slabs of the second run. The
// import `emit` takes what comes out. One invocation makes one channel of one group.
// src/ops/batch_norm/backward.rs launches it.

// #import shared/linear_index
// #import batch_norm/geometry
// #import emit

@group(0) @binding(0) var<storage, read> partials: array<f32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let ix = linear_index(workgroup, n_workgroups, local_ix);
    if ix >= N_GROUPS * CHANNELS {
        return;
    }
    let channel = ix % CHANNELS;
    let first = ix / CHANNELS * SLABS_PER_GROUP;
    let last = min(first + SLABS_PER_GROUP, N_SLABS);
    var gamma_sum = 0.0;
    var beta_sum = 0.0;
    for (var slab = first; slab < last; slab++) {
        gamma_sum += partials[2u * slab * CHANNELS + channel];
        beta_sum += partials[(2u * slab + 1u) * CHANNELS + channel];
    }
    emit(ix / CHANNELS, channel, 0.0, gamma_sum, beta_sum);
}
