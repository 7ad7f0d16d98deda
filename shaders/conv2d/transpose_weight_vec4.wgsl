// transposed[ky, kx, co, ci] = weight[ky, kx, ci, co]
//
// As transpose_weight_scalar.wgsl, for groups of a multiple of 4 input channels and of 4 output channels. An invocation
// transposes 4 x 4 weights in registers, because copies of single numbers took longer on llvmpipe
// (docs/performance/software_vulkan.md). src/ops/conv2d/d_input.rs launches this kernel.

// #import shared/linear_index

@group(0) @binding(0) var<storage, read> weight: array<vec4<f32>>;
@group(0) @binding(1) var<storage, read_write> transposed: array<vec4<f32>>;
@group(0) @binding(2) var<uniform> n_groups: u32;
@group(0) @binding(3) var<uniform> ci_per_group: u32;
@group(0) @binding(4) var<uniform> co_per_group: u32;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let block = linear_index(workgroup, n_workgroups, local_ix);
    if block >= arrayLength(&transposed) / 4u {
        return;
    }
    // Channels are counted in vectors of four. A block is [position, co, group, ci].
    let ci_vectors = ci_per_group / 4u;
    let co_vectors = co_per_group / 4u;
    let ci = block % ci_vectors;
    let group = block / ci_vectors % n_groups;
    let co = block / (n_groups * ci_vectors) % co_vectors;
    let position = block / (n_groups * ci_vectors * co_vectors);
    let row = n_groups * co_vectors;
    let read = (position * ci_per_group + 4u * ci) * row + group * co_vectors + co;
    let w0 = weight[read];
    let w1 = weight[read + row];
    let w2 = weight[read + 2u * row];
    let w3 = weight[read + 3u * row];
    let transposed_row = n_groups * ci_vectors;
    let written = (position * co_per_group + 4u * co) * transposed_row + group * ci_vectors + ci;
    transposed[written] = vec4<f32>(w0.x, w1.x, w2.x, w3.x);
    transposed[written + transposed_row] = vec4<f32>(w0.y, w1.y, w2.y, w3.y);
    transposed[written + 2u * transposed_row] = vec4<f32>(w0.z, w1.z, w2.z, w3.z);
    transposed[written + 3u * transposed_row] = vec4<f32>(w0.w, w1.w, w2.w, w3.w);
}
