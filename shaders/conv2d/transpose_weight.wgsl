// transposed[ky, kx, co, ci] = weight[ky, kx, ci, co]
//
// With groups, the weight has the ci of one group, [KH, KW, ci_per_group, Co], and `transposed` the co of one group,
// [KH, KW, co_per_group, Ci]. The sizes are numbers and not constants, so all convolutions of a network share a pipeline.
//
// With the transposed weight, the kernel of the forward pass also computes the gradient of the input. One invocation
// copies one weight. src/ops/conv2d/d_input.rs launches this kernel.

// #import shared/linear_index

@group(0) @binding(0) var<storage, read> weight: array<f32>;
@group(0) @binding(1) var<storage, read_write> transposed: array<f32>;
@group(0) @binding(2) var<uniform> n_groups: u32;
@group(0) @binding(3) var<uniform> ci_per_group: u32;
@group(0) @binding(4) var<uniform> co_per_group: u32;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let ix = linear_index(workgroup, n_workgroups, local_ix);
    if ix < arrayLength(&transposed) {
        let n_ci = n_groups * ci_per_group;
        let n_co = n_groups * co_per_group;
        let ci = ix % n_ci;
        let co = ci / ci_per_group * co_per_group + ix / n_ci % co_per_group;
        let position = ix / (n_ci * co_per_group);
        transposed[ix] = weight[(position * ci_per_group + ci % ci_per_group) * n_co + co];
    }
}
