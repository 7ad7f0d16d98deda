// y[i] = x[i]
//
// How fast memory is read and written when nothing else is done: what `wgrad profile` holds kernels
// against. An invocation copies four vec4s, a quarter of the array apart, so that neighbours read side by
// side and each has several reads under way.
// Grid: one axis of a quarter of the vec4s, whose number is a multiple of four, folded.
// src/device/gpu/peaks.rs launches it.

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
