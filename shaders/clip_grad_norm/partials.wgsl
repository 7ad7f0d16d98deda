// partials[partial] = sum of gradient[i]^2 over i = partial, partial + N_PARTIALS, partial + 2 * N_PARTIALS, ...
//
// A dispatch adds the terms of one segment, which begins at element START of the flat buffer. The dispatch of the first
// segment begins the partial sums at 0, and the dispatches of the later segments continue them. So the partial sums do
// not depend on the division into segments.
//
// The stride lets neighbouring invocations read neighbouring elements. The number of partial sums depends on the number
// of gradients alone, so the order of the sum is fixed. One invocation computes one partial sum. Grid: one axis of
// partial sums, folded into two (see shared/linear_index). Launched by src/ops/clip_grad_norm.rs.

// #import shared/linear_index

const N_PARTIALS: u32 = 1u;
const START: u32 = 0u;

@group(0) @binding(0) var<storage, read> gradients: array<f32>;
@group(0) @binding(1) var<storage, read_write> partials: array<f32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let partial = linear_index(workgroup, n_workgroups, local_ix);
    if partial >= N_PARTIALS {
        return;
    }
    var sum = 0.0;
    if START > 0u {
        sum = partials[partial];
    }
    // Index, in the segment, of its first element that belongs to this partial sum.
    let first = (partial + N_PARTIALS - START % N_PARTIALS) % N_PARTIALS;
    for (var ix = first; ix < arrayLength(&gradients); ix += N_PARTIALS) {
        sum += gradients[ix] * gradients[ix];
    }
    partials[partial] = sum;
}
