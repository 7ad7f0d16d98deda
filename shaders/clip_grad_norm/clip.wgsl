// gradients[i] *= min(1, MAX_NORM / (norm + EPS))
//
// The kernel has no effect while the not-finite flag is set: the gradients stay for inspection. One invocation scales
// one element. Grid: one axis of elements, folded into two (see shared/linear_index). Launched by
// src/ops/clip_grad_norm.rs.

// #import shared/linear_index
// #import finite_check/control

const MAX_NORM: f32 = 1.0;
// PyTorch's value; it avoids a division by 0.
const EPS: f32 = 1e-6;

@group(0) @binding(0) var<storage, read> norm: array<f32>;
@group(0) @binding(1) var<storage, read> control: array<f32>;
@group(0) @binding(2) var<storage, read_write> gradients: array<f32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let ix = linear_index(workgroup, n_workgroups, local_ix);
    let coefficient = MAX_NORM / (norm[0] + EPS);
    if ix < arrayLength(&gradients) && coefficient < 1.0 && control[NOT_FINITE] == 0.0 {
        gradients[ix] *= coefficient;
    }
}
