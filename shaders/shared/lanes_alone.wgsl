// The import `lanes` of a product kernel whose invocations read all their operands themselves. This file has
// the entry point and calls the importing file's `multiply`. Its twin shared/lanes_subgroup shares reads.

// Invocations that share their reads.
const SHARING_LANES: u32 = 1u;

// The value that neighbour i of `lane`'s group holds; here the group is the invocation itself.
fn of_neighbour(value: vec4<f32>, lane: u32, i: u32) -> vec4<f32> {
    return value;
}

fn source_of_neighbour(source: vec2<u32>, lane: u32, i: u32) -> vec2<u32> {
    return source;
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    multiply(workgroup, n_workgroups, local_ix, 0u);
}
