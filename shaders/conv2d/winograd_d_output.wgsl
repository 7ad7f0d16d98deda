// A * tile * transpose(A) for the 2x2 pixels of each tile of the gradient of the output: the right operand of the 16
// products of Winograd's algorithm for the gradient of the weight (docs/ops/conv2d.md).
//
//   A =  1  0
//        1  1
//        1 -1
//        0 -1
//
// One invocation transforms four channels of one tile. src/ops/conv2d/winograd/launch.rs launches this kernel.

// #import shared/linear_index
// #import conv2d/geometry
// #import d_output4
// #import conv2d/winograd_tiles
// #import conv2d/winograd_by_tiles

// Returns four channels of a pixel, or zeros outside the plane.
fn pixel_of(n: u32, y: u32, x: u32, channel: u32) -> vec4<f32> {
    let exists = n != OUTSIDE && y < OH && x < OW;
    let source = d_output_source(n, y, x);
    let values = d_output4(vec2<u32>(select(OUTSIDE, source.x, exists), source.y), channel);
    return select(vec4<f32>(), values, vec4<bool>(exists));
}

// Stores row i of the transformed tile: the product of a row of A * tile and transpose(A).
fn store_row(row: u32, channel: u32, i: u32, left: vec4<f32>, right: vec4<f32>) {
    store(row, channel, 4u * i, left);
    store(row, channel, 4u * i + 1u, left + right);
    store(row, channel, 4u * i + 2u, left - right);
    store(row, channel, 4u * i + 3u, -right);
}

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
    let tile = tile_at(row);
    let y = 2u * tile.y;
    let x = 2u * tile.z;
    let top_left = pixel_of(tile.x, y, x, channel);
    let top_right = pixel_of(tile.x, y, x + 1u, channel);
    let bottom_left = pixel_of(tile.x, y + 1u, x, channel);
    let bottom_right = pixel_of(tile.x, y + 1u, x + 1u, channel);
    store_row(row, channel, 0u, top_left, top_right);
    store_row(row, channel, 1u, top_left + bottom_left, top_right + bottom_right);
    store_row(row, channel, 2u, top_left - bottom_left, top_right - bottom_right);
    store_row(row, channel, 3u, -bottom_left, -bottom_right);
}
