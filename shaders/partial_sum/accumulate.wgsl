// results[i] = partial[i] + results[i]      if bit LEVEL of added_levels is 1
// partial[i] = results[i]                   if bit LEVEL of stored_level is 1, after the addition
//
// The results are those of one shard, and of earlier shards that the nodes of lower levels have added. One invocation
// computes one element. Grid: one axis of elements, folded into two (see shared/linear_index). Launched by
// src/ops/partial_sum.rs.

// #import shared/linear_index
// #import shared/step

const LEVEL: u32 = 0u;

@group(0) @binding(0) var<storage, read_write> results: array<f32>;
@group(0) @binding(1) var<storage, read_write> partial_sums: array<f32>;
@group(0) @binding(2) var<uniform> scalars: StepScalars;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let ix = linear_index(workgroup, n_workgroups, local_ix);
    if ix >= arrayLength(&results) {
        return;
    }
    if ((scalars.added_levels >> LEVEL) & 1u) == 1u {
        results[ix] = partial_sums[ix] + results[ix];
    }
    if ((scalars.stored_level >> LEVEL) & 1u) == 1u {
        partial_sums[ix] = results[ix];
    }
}
