// d_x[i] = d_y[i] * (1 - y[i]) * y[i]
//
// The slope of the sigmoid is a function of its output, so the op keeps its output and not its input. One invocation
// computes one element. Grid: one axis of elements, folded into two (see shared/linear_index). Launched by
// src/ops/sigmoid.rs.

// #import shared/linear_index

@group(0) @binding(0) var<storage, read> y: array<f32>;
@group(0) @binding(1) var<storage, read> d_y: array<f32>;
@group(0) @binding(2) var<storage, read_write> d_x: array<f32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let ix = linear_index(workgroup, n_workgroups, local_ix);
    if ix < arrayLength(&d_x) {
        d_x[ix] = d_y[ix] * (1.0 - y[ix]) * y[ix];
    }
}
