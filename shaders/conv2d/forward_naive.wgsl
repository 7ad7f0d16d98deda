// Convolution by the formula in convolve_naive.wgsl, with the bias added. One invocation computes one element of y.
// src/ops/conv2d/forward.rs launches this kernel.

// #import shared/linear_index
// #import conv2d/convolve_naive
// #import bias

@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let ix = linear_index(workgroup, n_workgroups, local_ix);
    if ix < N * OH * OW * CO {
        let co = ix % CO;
        let ox = ix / CO % OW;
        let oy = ix / (CO * OW) % OH;
        let n = ix / (CO * OW * OH);
        y[ix] = convolve(n, oy, ox, co) + bias_of(co);
    }
}
