// The entry point of the kernels that transform tiles, winograd_source.wgsl and winograd_d_output.wgsl: one invocation
// transforms one channel of one tile. The importing file defines `transform`, which stores the four rows of a transformed
// tile. The import `layout` defines the order of the invocations and of the transformed tiles.

// #import shared/linear_index
// #import conv2d/winograd_tiles
// #import layout

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let ix = linear_index(workgroup, n_workgroups, local_ix);
    let row = row_of(ix);
    let channel = channel_of(ix);
    if row >= PARTS * PART_ROWS {
        return;
    }
    transform(tile_at(row), row, channel);
}
