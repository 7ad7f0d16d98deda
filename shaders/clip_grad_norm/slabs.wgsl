// partials[slab] = sum of gradients[i]^2 over i = slab, slab + N_SLABS, slab + 2 * N_SLABS, ...
//
// The stride lets neighbouring invocations read neighbouring elements. The number of slabs depends on the
// number of gradients alone, so the order of the sum is fixed. One invocation computes one partial sum. Grid:
// one axis of slabs, folded. Launched by src/ops/clip_grad_norm.rs.

// #import shared/linear_index

const N_SLABS: u32 = 1u;

@group(0) @binding(0) var<storage, read> gradients: array<f32>;
@group(0) @binding(1) var<storage, read_write> partials: array<f32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let slab = linear_index(workgroup, n_workgroups, local_ix);
    if slab >= N_SLABS {
        return;
    }
    var sum = 0.0;
    for (var ix = slab; ix < arrayLength(&gradients); ix += N_SLABS) {
        sum += gradients[ix] * gradients[ix];
    }
    partials[slab] = sum;
}
