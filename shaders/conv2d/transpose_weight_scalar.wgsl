// transposed[ky, kx, co, ci] = weight[ky, kx, ci, co]
//
// With groups, the weight has the ci of one group, [KH, KW, ci_per_group, Co], and `transposed` the co of one group,
// [KH, KW, co_per_group, Ci]. The sizes are numbers and not constants, so all convolutions of a network share a pipeline.
//
// With the transposed weight, the kernel of the forward pass also computes the gradient of the input. One invocation
// copies four weights: a division of whole numbers takes longer than a copy, and only the first weight needs divisions.
// src/ops/conv2d/d_input.rs launches this kernel.

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
    let first = 4u * linear_index(workgroup, n_workgroups, local_ix);
    let n_co = n_groups * co_per_group;
    // transposed[position, co, group, ci], where co and ci are channels within the group.
    var ci = first % ci_per_group;
    var group = first / ci_per_group % n_groups;
    var co = first / (n_groups * ci_per_group) % co_per_group;
    var position = first / (n_groups * ci_per_group * co_per_group);
    for (var ix = first; ix < min(first + 4u, arrayLength(&transposed)); ix++) {
        transposed[ix] = weight[(position * ci_per_group + ci) * n_co + group * co_per_group + co];
        ci++;
        if ci == ci_per_group {
            ci = 0u;
            group++;
        }
        if group == n_groups {
            group = 0u;
            co++;
        }
        if co == co_per_group {
            co = 0u;
            position++;
        }
    }
}
