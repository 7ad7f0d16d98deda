// Adam (Kingma and Ba 2015, algorithm 1) and AdamW as PyTorch computes them, over the flat buffers of all parameters:
//
//   p = (1 - lr * weight decay) * p    with IS_DECOUPLED
//   g = gradient + WEIGHT_DECAY * p    (WEIGHT_DECAY is 0 with IS_DECOUPLED)
//   m = BETA1 * m + (1 - BETA1) * g,   v = BETA2 * v + (1 - BETA2) * g^2
//   p = p - lr / (1 - BETA1^t) * m / (sqrt(v) / sqrt(1 - BETA2^t) + EPS)
//
// The update has no effect while the not-finite flag is set. The host computes the factors that depend on the
// step number t, in f64, and passes them in StepScalars.
//
// One invocation updates one element of p, m and v. Grid: one axis of elements, folded into two (see
// shared/linear_index). Launched by src/ops/adam.rs.

// #import shared/linear_index
// #import shared/optimizer

const BETA1: f32 = 0.9;
const ONE_MINUS_BETA1: f32 = 0.1;
const BETA2: f32 = 0.999;
const ONE_MINUS_BETA2: f32 = 0.001;
const EPS: f32 = 1e-8;
const IS_DECOUPLED: bool = false;

@group(0) @binding(4) var<storage, read_write> exp_avg: array<f32>;
@group(0) @binding(5) var<storage, read_write> exp_avg_sq: array<f32>;

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
    let step_size = LR_FACTOR * scalars.optimizer.x;
    let inv_sqrt_bias_correction2 = scalars.optimizer.y;
    var p = parameters[ix];
    if IS_DECOUPLED {
        // The host computes the factor of the decay. With a factor of the learning rate, it is computed here.
        p *= select(1.0 - LR_FACTOR * scalars.optimizer.w, scalars.optimizer.z, LR_FACTOR == 1.0);
    }
    let g = gradients[ix] + WEIGHT_DECAY * p;
    let m = BETA1 * exp_avg[ix] + ONE_MINUS_BETA1 * g;
    let v = BETA2 * exp_avg_sq[ix] + ONE_MINUS_BETA2 * g * g;
    exp_avg[ix] = m;
    exp_avg_sq[ix] = v;
    parameters[ix] = p - step_size * m / (sqrt(v) * inv_sqrt_bias_correction2 + EPS);
}
