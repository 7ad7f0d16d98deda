// A * tile * transpose(A) for the 2x2 pixels of each tile of the gradient of the output: the right operand of the 16
// products of Winograd's algorithm for the gradient of the weight (docs/ops/conv2d.md).
//
//   A =  1  0
//        1  1
//        1 -1
//        0 -1
//
// src/ops/conv2d/winograd_launch.rs launches this kernel.

// #import conv2d/geometry
// #import d_output
// #import conv2d/winograd_transform

// Returns a pixel, or 0 outside the plane.
fn pixel_of(n: u32, y: u32, x: u32, channel: u32) -> f32 {
    if n == OUTSIDE || y >= OH || x >= OW || channel >= CO {
        return 0.0;
    }
    return d_output(n, y, x, channel);
}

// Returns the product of a row (left, right) and transpose(A).
fn times_a(row: vec2<f32>) -> vec4<f32> {
    return vec4<f32>(row.x, row.x + row.y, row.x - row.y, -row.y);
}

// Transforms one channel of a tile, for a row of the matrices.
fn transform(tile: vec3<u32>, row: u32, channel: u32) {
    let y = 2u * tile.y;
    let x = 2u * tile.z;
    let top = vec2<f32>(
        pixel_of(tile.x, y, x, channel),
        pixel_of(tile.x, y, x + 1u, channel),
    );
    let bottom = vec2<f32>(
        pixel_of(tile.x, y + 1u, x, channel),
        pixel_of(tile.x, y + 1u, x + 1u, channel),
    );
    store_row(row, channel, 0u, times_a(top));
    store_row(row, channel, 1u, times_a(top + bottom));
    store_row(row, channel, 2u, times_a(top - bottom));
    store_row(row, channel, 3u, times_a(-bottom));
}
