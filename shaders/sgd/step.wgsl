// Stochastic gradient descent without momentum, over the flat buffers of all parameters:
//
//   p = p - lr * (gradient + WEIGHT_DECAY * p)
//
// The update has no effect while the not-finite flag is set. One invocation updates one element. Grid: one axis of
// elements, folded into two (see shared/linear_index). Launched by src/ops/sgd.rs.

// #import shared/linear_index
// #import shared/optimizer

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
    parameters[ix] = p - lr * (gradients[ix] + WEIGHT_DECAY * p);
}
