// Returns the index of an invocation in a grid that has one axis of work. One axis of a dispatch holds at most 65,535
// workgroups, so `grid` in src/kernel/launch.rs folds a longer axis into two, x and y.
//
// Kernels split the index into coordinates, last axis first. In a tensor [N, H, W, C], element ix has channel ix % C,
// column ix / C % W, row ix / (C * W) % H and image ix / (C * W * H).

const WORKGROUP_SIZE: u32 = 64u;

fn linear_index(workgroup: vec3<u32>, n_workgroups: vec3<u32>, local_ix: u32) -> u32 {
    return (workgroup.y * n_workgroups.x + workgroup.x) * WORKGROUP_SIZE + local_ix;
}
