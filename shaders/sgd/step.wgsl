// Stochastic gradient descent without momentum, over the flat buffers of all parameters:
//
//   p = p - lr * (gradient + WEIGHT_DECAY * p)
//
// The update has no effect while the not-finite flag is set. One invocation updates one element. Grid: one axis of
// elements, folded into two (see shared/linear_index). Launched by src/ops/sgd.rs.

// #import shared/linear_index
// #import shared/step
// #import finite_check/control

const WEIGHT_DECAY: f32 = 0.0;

@group(0) @binding(0) var<storage, read> gradients: array<f32>;
@group(0) @binding(1) var<storage, read> control: array<f32>;
@group(0) @binding(2) var<uniform> scalars: StepScalars;
@group(0) @binding(3) var<storage, read_write> parameters: array<f32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let ix = linear_index(workgroup, n_workgroups, local_ix);
    if ix >= arrayLength(&parameters) || control[NOT_FINITE] != 0.0 {
        return;
    }
    let lr = scalars.optimizer.x;
    let p = parameters[ix];
    parameters[ix] = p - lr * (gradients[ix] + WEIGHT_DECAY * p);
}
