// Stochastic gradient descent with momentum, over the flat buffers of all parameters:
//
//   g = gradient + WEIGHT_DECAY * p,   b = MOMENTUM * b + g
//   p = p - lr * (g + MOMENTUM * b)  with NESTEROV,  p - lr * b  without
//
// The update has no effect while the not-finite flag is set. One invocation updates one element of p and b. Grid: one
// axis of elements, folded into two (see shared/linear_index). Launched by src/ops/sgd.rs.

// #import shared/linear_index
// #import shared/optimizer

const MOMENTUM: f32 = 0.9;
const NESTEROV: bool = false;

@group(0) @binding(4) var<storage, read_write> momentum_buffer: array<f32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let ix = linear_index(workgroup, n_workgroups, local_ix);
    if is_skipped(ix) {
        return;
    }
    let lr = LR_FACTOR * scalars.optimizer.x;
    let p = parameters[ix];
    let g = gradients[ix] + WEIGHT_DECAY * p;
    let b = MOMENTUM * momentum_buffer[ix] + g;
    momentum_buffer[ix] = b;
    parameters[ix] = p - lr * select(b, g + MOMENTUM * b, NESTEROV);
}
