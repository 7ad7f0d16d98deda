// Adam (Kingma and Ba 2015, algorithm 1), as PyTorch computes it, over all parameters at once:
//
//   g = gradient + WEIGHT_DECAY * p
//   m = BETA1 * m + (1 - BETA1) * g,   v = BETA2 * v + (1 - BETA2) * g^2
//   p = p - lr / (1 - BETA1^t) * m / (sqrt(v) / sqrt(1 - BETA2^t) + EPS)
//
// unless the sticky flag is up. What depends on the step comes from the host, which computes it in f64.
// One invocation makes one element. src/ops/adam.rs launches it.

// #import shared/linear_index
// #import shared/step
// #import metrics/layout

const BETA1: f32 = 0.9;
const ONE_MINUS_BETA1: f32 = 0.1;
const BETA2: f32 = 0.999;
const ONE_MINUS_BETA2: f32 = 0.001;
const EPS: f32 = 1e-8;
const WEIGHT_DECAY: f32 = 0.0;

@group(0) @binding(0) var<storage, read> gradients: array<f32>;
@group(0) @binding(1) var<storage, read> metrics: array<f32>;
@group(0) @binding(2) var<storage, read_write> parameters: array<f32>;
@group(0) @binding(3) var<storage, read_write> exp_avg: array<f32>;
@group(0) @binding(4) var<storage, read_write> exp_avg_sq: array<f32>;
@group(0) @binding(5) var<uniform> scalars: StepScalars;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let ix = linear_index(workgroup, n_workgroups, local_ix);
    if ix >= arrayLength(&parameters) || metrics[NOT_FINITE] != 0.0 {
        return;
    }
    let p = parameters[ix];
    let g = gradients[ix] + WEIGHT_DECAY * p;
    let m = BETA1 * exp_avg[ix] + ONE_MINUS_BETA1 * g;
    let v = BETA2 * exp_avg_sq[ix] + ONE_MINUS_BETA2 * g * g;
    exp_avg[ix] = m;
    exp_avg_sq[ix] = v;
    parameters[ix] = p - scalars.step_size * m / (sqrt(v) * scalars.inv_sqrt_bias_correction2 + EPS);
}
