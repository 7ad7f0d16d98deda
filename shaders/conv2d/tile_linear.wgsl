// A tile is 4 pixels that lie one behind the other in memory, across rows and images.

const N_TILES: u32 = (N * OH * OW + 3u) / 4u;

// (n, oy, ox) of pixel i of a tile. Past the last pixel it is the last once more, which
// the epilogue does not store.
fn tile_pixel(tile: u32, i: u32) -> vec3<u32> {
    let pixel = min(tile * 4u + i, N * OH * OW - 1u);
    return vec3<u32>(pixel / (OH * OW), pixel / OW % OH, pixel % OW);
}
