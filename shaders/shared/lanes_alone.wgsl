// The entry point of a kernel whose invocations each read all that they multiply. It calls `multiply` of the file that
// imports it.

// Neighbours that read for each other.
const SHARING_LANES: u32 = 1u;

// What neighbour i of those that share with `lane` holds.
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
