// V = transpose(B) * tile * B for the 4x4 pixels under each tile: the left operand of the 16 products of Winograd's
// algorithm (docs/ops/conv2d.md).
//
//   transpose(B) =  1  0 -1  0
//                   0  1  1  0
//                   0 -1  1  0
//                   0  1  0 -1
//
// The source [N, H, W, CI] is x, or for the gradient of the input the gradient of the output, whose sizes H, W and CI
// then are. PADDING_H and PADDING_W are the rows of zeros above the source and the columns of zeros left of it.
// src/ops/conv2d/winograd_launch.rs launches this kernel.

// #import conv2d/winograd_transform

@group(0) @binding(0) var<storage, read> source: array<f32>;

// Returns a pixel of the source, or 0 outside. `row` and `column` count from the first row and column of the padding.
fn pixel_of(n: u32, row: u32, column: u32, channel: u32) -> f32 {
    // In the padding, y and x wrap around as u32 and fail the comparisons.
    let y = row - PADDING_H;
    let x = column - PADDING_W;
    let exists = n != OUTSIDE && y < H && x < W && channel < CI;
    let ix = ((n * H + y) * W + x) * CI + channel;
    return select(0.0, source[select(0u, ix, exists)], exists);
}

// Returns row y of tile * B.
fn times_b(tile: vec3<u32>, y: u32, channel: u32) -> vec4<f32> {
    let row = 2u * tile.y + y;
    let a = pixel_of(tile.x, row, 2u * tile.z, channel);
    let b = pixel_of(tile.x, row, 2u * tile.z + 1u, channel);
    let c = pixel_of(tile.x, row, 2u * tile.z + 2u, channel);
    let d = pixel_of(tile.x, row, 2u * tile.z + 3u, channel);
    return vec4<f32>(a - c, b + c, c - b, b - d);
}

// Transforms one channel of a tile, for a row of the matrices.
fn transform(tile: vec3<u32>, row: u32, channel: u32) {
    let r0 = times_b(tile, 0u, channel);
    let r1 = times_b(tile, 1u, channel);
    let r2 = times_b(tile, 2u, channel);
    let r3 = times_b(tile, 3u, channel);
    store_row(row, channel, 0u, r0 - r2);
    store_row(row, channel, 1u, r1 + r2);
    store_row(row, channel, 2u, r2 - r1);
    store_row(row, channel, 3u, r1 - r3);
}
