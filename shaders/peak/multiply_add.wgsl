// y[i] = the sum of 8 numbers s, after DEPTH updates s = s * factor + term of each
//
// This kernel measures the arithmetic rate that `wgrad profile` compares kernels with. An invocation keeps 8 sums in
// registers. The sums are independent, so the pipelines stay full. The kernel reads factor and term from memory and
// writes the sums to memory, so a compiler cannot remove the loop. An invocation does 2 * 8 * DEPTH floating-point
// operations. Grid: one axis of invocations, folded into two (see shared/linear_index). Launched by
// src/device/gpu/peaks.rs.

// #import shared/linear_index

const DEPTH: u32 = 1u;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let ix = linear_index(workgroup, n_workgroups, local_ix);
    if ix >= arrayLength(&y) {
        return;
    }
    let factor = x[0];
    let term = x[1];
    var sum0 = vec4<f32>(0.0, 1.0, 2.0, 3.0) + f32(ix);
    var sum1 = sum0 + 4.0;
    for (var k = 0u; k < DEPTH; k++) {
        sum0 = sum0 * factor + term;
        sum1 = sum1 * factor + term;
    }
    let sum = sum0 + sum1;
    y[ix] = sum.x + sum.y + sum.z + sum.w;
}
