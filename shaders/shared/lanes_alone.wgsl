// The import `lanes` of a product kernel whose invocations read all their operands themselves. This file has the entry
// point and calls the importing file's `multiply`. shared/lanes_subgroup is the other choice for this import; there,
// invocations share their reads.

// The number of neighbours along the channels, in a row of the workgroup, that share their reads.
const SHARING_LANES: u32 = 1u;

// The number of invocations of the same channels, in a column of the workgroup, that share their reads: of the weight,
// or of d_out in d_weight.wgsl.
const COLUMN_SHARING_LANES: u32 = 1u;

// Returns the `value` of invocation i in the group that shares its reads. Here the group is the invocation itself.
fn of_neighbour(value: vec4<f32>, lane: u32, i: u32) -> vec4<f32> {
    return value;
}

// Returns the `value` of invocation i in the column of invocations that shares its reads. Here the column is the
// invocation itself.
fn of_column_lane(value: vec4<f32>, lane: u32, i: u32) -> vec4<f32> {
    return value;
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    multiply(workgroup, n_workgroups, local_ix, 0u);
}
