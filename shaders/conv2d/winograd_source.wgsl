// V = transpose(B) * tile * B for the 4x4 pixels of the source under each tile: the left operand of the 16 products of
// Winograd's algorithm (docs/ops/conv2d.md).
//
//   transpose(B) =  1  0 -1  0
//                   0  1  1  0
//                   0 -1  1  0
//                   0  1  0 -1
//
// Forward and for the gradient of the weight, the source is x; for the gradient of the input, it is the gradient of the
// output, where a tile's later pixels belong to earlier positions of the kernel. One invocation transforms four channels
// of one tile. The import `layout` defines the order of the invocations and of V. src/ops/conv2d/winograd/launch.rs
// launches this kernel.

// #import shared/linear_index
// #import operands
// #import conv2d/winograd_tiles
// #import layout

// Four vectors: the pixels of a row of the tile, or the positions of a row of the transformed tile.
struct Row {
    a: vec4<f32>,
    b: vec4<f32>,
    c: vec4<f32>,
    d: vec4<f32>,
}

fn pixel_of(tile: vec3<u32>, y: u32, x: u32, channel: u32) -> vec4<f32> {
    // With MIRRORED, ky and kx may wrap around below zero. `source_of` subtracts them, which wraps around again.
    let ky = select(y, 2u - y, MIRRORED);
    let kx = select(x, 2u - x, MIRRORED);
    var source = source_of(vec3<u32>(tile.x, 2u * tile.y, 2u * tile.z), ky, kx);
    source.x = select(source.x, OUTSIDE, tile.x == OUTSIDE);
    return load_source(source, channel);
}

// Returns row y of tile * B.
fn times_b(tile: vec3<u32>, y: u32, channel: u32) -> Row {
    let a = pixel_of(tile, y, 0u, channel);
    let b = pixel_of(tile, y, 1u, channel);
    let c = pixel_of(tile, y, 2u, channel);
    let d = pixel_of(tile, y, 3u, channel);
    return Row(a - c, b + c, c - b, b - d);
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
    let r0 = times_b(tile, 0u, channel);
    let r1 = times_b(tile, 1u, channel);
    let r2 = times_b(tile, 2u, channel);
    let r3 = times_b(tile, 3u, channel);
    store(row, channel, 0u, r0.a - r2.a);
    store(row, channel, 1u, r0.b - r2.b);
    store(row, channel, 2u, r0.c - r2.c);
    store(row, channel, 3u, r0.d - r2.d);
    store(row, channel, 4u, r1.a + r2.a);
    store(row, channel, 5u, r1.b + r2.b);
    store(row, channel, 6u, r1.c + r2.c);
    store(row, channel, 7u, r1.d + r2.d);
    store(row, channel, 8u, r2.a - r1.a);
    store(row, channel, 9u, r2.b - r1.b);
    store(row, channel, 10u, r2.c - r1.c);
    store(row, channel, 11u, r2.d - r1.d);
    store(row, channel, 12u, r1.a - r3.a);
    store(row, channel, 13u, r1.b - r3.b);
    store(row, channel, 14u, r1.c - r3.c);
    store(row, channel, 15u, r1.d - r3.d);
}
