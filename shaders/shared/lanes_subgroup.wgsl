// The import `lanes` of a product kernel whose invocations share their reads: neighbours in a subgroup exchange
// operands with shuffles. This file has the entry point and calls the importing file's `multiply`, which must not
// return before its last shuffle. (The WGSL standard requires `enable subgroups;` at the top; naga 30 does not accept
// it yet.)

// The number of neighbours along the channels, in a row of the workgroup, that share their reads: a power of two, at
// most the size of the adapter's smallest subgroup.
const SHARING_LANES: u32 = 1u;

// The number of invocations of the same channels, in a column of the workgroup, that share their reads: of the weight,
// or of d_out in d_weight.wgsl. A power of two. They are COLUMN_DISTANCE lanes apart in one subgroup; the importing file
// defines COLUMN_DISTANCE.
const COLUMN_SHARING_LANES: u32 = 1u;

// Returns the `value` of invocation i in the group of SHARING_LANES invocations to which `lane` belongs.
fn of_neighbour(value: vec4<f32>, lane: u32, i: u32) -> vec4<f32> {
    if SHARING_LANES == 1u {
        return value;
    }
    return subgroupShuffle(value, lane / SHARING_LANES * SHARING_LANES + i);
}

// Returns the `value` of invocation i in the column of COLUMN_SHARING_LANES invocations to which `lane` belongs.
fn of_column_lane(value: vec4<f32>, lane: u32, i: u32) -> vec4<f32> {
    if COLUMN_SHARING_LANES == 1u {
        return value;
    }
    let first = lane / (COLUMN_DISTANCE * COLUMN_SHARING_LANES) * (COLUMN_DISTANCE * COLUMN_SHARING_LANES);
    return subgroupShuffle(value, first + i * COLUMN_DISTANCE + lane % COLUMN_DISTANCE);
}

// WGSL leaves open which invocations of a workgroup form a subgroup, so the kernel numbers invocations by subgroup and
// lane. This numbering requires that every subgroup except the last is full. Otherwise rows would be missing, and
// tests/gpu_vs_cpu.rs would fail.
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
