// y[i] = x[i]
//
// This kernel measures the memory bandwidth that `wgrad profile` compares kernels with. An invocation copies four
// vec4s, a quarter of the array apart. So neighbouring invocations read neighbouring vec4s, and each invocation has
// four reads in flight. Grid: one axis of n / 4 invocations, folded into two (see shared/linear_index). The array has n
// vec4s, and n is a multiple of 4. Launched by src/device/gpu/peaks.rs.

// #import shared/linear_index

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4<f32>>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let ix = linear_index(workgroup, n_workgroups, local_ix);
    let n = arrayLength(&y) / 4u;
    if ix >= n {
        return;
    }
    let x0 = x[ix];
    let x1 = x[ix + n];
    let x2 = x[ix + 2u * n];
    let x3 = x[ix + 3u * n];
    y[ix] = x0;
    y[ix + n] = x1;
    y[ix + 2u * n] = x2;
    y[ix + 3u * n] = x3;
}
