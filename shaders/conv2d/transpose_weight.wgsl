// transposed[ky, kx, co, ci] = weight[ky, kx, ci, co]
//
// With groups, the weight has the ci of one group, [KERNEL_H, KERNEL_W, CI / GROUPS, CO], and `transposed` the co of one
// group, [KERNEL_H, KERNEL_W, CO / GROUPS, CI].
//
// With the transposed weight, the kernel of the forward pass also computes the gradient of the input. One invocation
// copies one weight. src/ops/conv2d/d_input.rs launches this kernel.

// #import shared/linear_index
// #import conv2d/geometry

@group(0) @binding(0) var<storage, read> weight: array<f32>;
@group(0) @binding(1) var<storage, read_write> transposed: array<f32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let ix = linear_index(workgroup, n_workgroups, local_ix);
    if ix < KERNEL_H * KERNEL_W * CI_PER_GROUP * CO {
        let ci = ix % CI;
        let co = ci / CI_PER_GROUP * CO_PER_GROUP + ix / CI % CO_PER_GROUP;
        let position = ix / (CI * CO_PER_GROUP);
        transposed[ix] = weight[(position * CI_PER_GROUP + ci % CI_PER_GROUP) * CO + co];
    }
}
