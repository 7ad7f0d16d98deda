// y[row, c] = max((x[row, c] - mean[c]) * inv_std[c] * gamma[c] + beta[c] + residual[row, c], 0)
//
// Batch norm, the addition of a residual and ReLU in one pass over memory, in training and in evaluation. One invocation
// computes four channels of one row. src/ops/batch_norm/add_relu.rs launches this kernel.

// #import shared/linear_index
// #import batch_norm/geometry

const IS_EVAL: bool = false;

const GROUPS: u32 = CHANNELS / 4u;

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read> gamma: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> beta: array<vec4<f32>>;
// The statistics of the batch in training: mean and inv_std. In evaluation: running mean and running variance.
@group(0) @binding(3) var<storage, read> mean: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read> spread: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> residual: array<vec4<f32>>;
@group(0) @binding(6) var<storage, read_write> y: array<vec4<f32>>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let ix = linear_index(workgroup, n_workgroups, local_ix);
    if ix < arrayLength(&y) {
        let c = ix % GROUPS;
        var inv_std = spread[c];
        if IS_EVAL {
            inv_std = 1.0 / sqrt(spread[c] + EPS);
        }
        let sum = (x[ix] - mean[c]) * inv_std * gamma[c] + beta[c] + residual[ix];
        // With this comparison, a NaN stays a NaN, as in PyTorch.
        y[ix] = select(sum, vec4<f32>(), sum <= vec4<f32>());
    }
}
