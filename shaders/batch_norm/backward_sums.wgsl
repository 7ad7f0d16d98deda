// Adds up the slabs of backward_slabs in their order, into d_gamma and d_beta. One invocation makes one
// channel. src/ops/batch_norm/backward.rs launches it.

// #import shared/linear_index
// #import batch_norm/geometry

@group(0) @binding(0) var<storage, read> partials: array<f32>;
@group(0) @binding(1) var<storage, read_write> d_gamma: array<f32>;
@group(0) @binding(2) var<storage, read_write> d_beta: array<f32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let c = linear_index(workgroup, n_workgroups, local_ix);
    if c >= CHANNELS {
        return;
    }
    var gamma_sum = 0.0;
    var beta_sum = 0.0;
    for (var slab = 0u; slab < N_SLABS; slab++) {
        gamma_sum += partials[slab * CHANNELS + c];
        beta_sum += partials[(N_SLABS + slab) * CHANNELS + c];
    }
    d_gamma[c] = gamma_sum;
    d_beta[c] = beta_sum;
}
