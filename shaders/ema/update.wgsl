// averages[i] = averages[i] + WEIGHT * (parameters[i] - averages[i])         WEIGHT = 1 - decay
//
// The first step copies the parameters. The update has no effect while the not-finite flag is set. The formula has two
// algebraically equal forms. The kernel uses the form that rounds less for this WEIGHT, like PyTorch's lerp. One
// invocation updates one element. Grid: one axis of elements, folded into two (see shared/linear_index). Launched by
// src/ops/ema.rs.

// #import shared/linear_index
// #import shared/step
// #import finite_check/control

const WEIGHT: f32 = 0.001;

@group(0) @binding(0) var<storage, read> parameters: array<f32>;
@group(0) @binding(1) var<storage, read> control: array<f32>;
@group(0) @binding(2) var<storage, read_write> averages: array<f32>;
@group(0) @binding(3) var<uniform> scalars: StepScalars;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let ix = linear_index(workgroup, n_workgroups, local_ix);
    if ix >= arrayLength(&averages) || control[NOT_FINITE] != 0.0 {
        return;
    }
    let p = parameters[ix];
    let difference = p - averages[ix];
    if scalars.step == 1u {
        averages[ix] = p;
    } else if WEIGHT < 0.5 {
        averages[ix] += WEIGHT * difference;
    } else {
        averages[ix] = p - (1.0 - WEIGHT) * difference;
    }
}
