// The entry point of a kernel whose invocations read for each other: neighbours in a subgroup pass on by shuffling what
// they have read. It calls `multiply` of the file that imports it, which may not return before the last shuffle.
// (WGSL also wants `enable subgroups;` at the top; naga 30 does not know it yet.)

// Neighbours that read for each other: a power of two, at most the adapter's smallest subgroup.
const SHARING_LANES: u32 = 1u;

// What neighbour i of those that share with `lane` holds.
fn of_neighbour(value: vec4<f32>, lane: u32, i: u32) -> vec4<f32> {
    return subgroupShuffle(value, lane / SHARING_LANES * SHARING_LANES + i);
}

fn source_of_neighbour(source: vec2<u32>, lane: u32, i: u32) -> vec2<u32> {
    return subgroupShuffle(source, lane / SHARING_LANES * SHARING_LANES + i);
}

// WGSL does not say which invocations of a workgroup make a subgroup, so they are numbered by it. That counts on
// subgroups being full, all but the last: were they not, rows would be missing, which tests/gpu_vs_cpu.rs shows.
@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(subgroup_size) subgroup_size: u32,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    multiply(workgroup, n_workgroups, subgroup * subgroup_size + lane, lane);
}
