// d_x[i] = d_y[i] where y[i] > 0, else SLOPE * d_y[i]
//
// SLOPE is positive, so y > 0 exactly where x > 0, and the op keeps its output and not its input. One invocation
// computes one element. Grid: one axis of elements, folded into two (see shared/linear_index). Launched by
// src/ops/leaky_relu.rs.

// #import shared/linear_index

const SLOPE: f32 = 1.0;

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
        d_x[ix] = select(SLOPE * d_y[ix], d_y[ix], y[ix] > 0.0);
    }
}
