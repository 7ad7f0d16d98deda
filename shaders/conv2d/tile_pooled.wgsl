// A tile is the 4 pixels of one 2x2 window of the pool behind the convolution.

const N_TILES: u32 = N * POOLED_H * POOLED_W;

// (n, oy, ox) of pixel i of a tile, in the row-major order of the window.
fn tile_pixel(tile: u32, i: u32) -> vec3<u32> {
    let py = tile / POOLED_W % POOLED_H;
    let px = tile % POOLED_W;
    return vec3<u32>(tile / (POOLED_H * POOLED_W), py * 2u + i / 2u, px * 2u + i % 2u);
}
