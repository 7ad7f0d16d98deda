// statistics[i] = (1 - MOMENTUM) * statistics[i] + MOMENTUM * SHARE * batch_statistics[i]
//
// In a step over shards, batch_statistics has the sums of the shards' statistics, and SHARE is 1 / the number of shards.
// The buffers are flat and hold the statistics of all layers. The update has no effect while the not-finite flag is
// set. One invocation updates one element. Grid: one axis of elements, folded into two (see shared/linear_index).
// Launched by src/ops/running_statistics.rs.

// #import shared/linear_index
// #import finite_check/control

const MOMENTUM: f32 = 0.1;
const SHARE: f32 = 1.0;

@group(0) @binding(0) var<storage, read> batch_statistics: array<f32>;
@group(0) @binding(1) var<storage, read> control: array<f32>;
@group(0) @binding(2) var<storage, read_write> statistics: array<f32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let ix = linear_index(workgroup, n_workgroups, local_ix);
    if ix < arrayLength(&statistics) && control[NOT_FINITE] == 0.0 {
        let batch = SHARE * batch_statistics[ix];
        statistics[ix] = (1.0 - MOMENTUM) * statistics[ix] + MOMENTUM * batch;
    }
}
