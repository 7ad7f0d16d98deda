// y[i] = x[i]
//
// One invocation copies one element. Grid: one axis of elements, folded into two (see shared/linear_index). Launched by
// src/ops/detach.rs.

// #import shared/linear_index

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let ix = linear_index(workgroup, n_workgroups, local_ix);
    if ix < arrayLength(&y) {
        y[ix] = x[ix];
    }
}
