// Each block of four rows is the 2x2 pixels of a tile of the result, for Winograd's algorithm without a fused pool.

const ROWS_PER_PIXEL: u32 = 1u;
const N_ROWS: u32 = N_TILES * 4u;

// Returns the number of the pixel in the result, or OUTSIDE for a row without a pixel: the last tile of a plane with odd
// sides is only partly inside.
fn stored_at(row: u32) -> u32 {
    let tile = tile_at(row / 4u);
    let y = 2u * tile.y + row / 2u % 2u;
    let x = 2u * tile.z + row % 2u;
    let exists = tile.x != OUTSIDE && y < OUT_H && x < OUT_W;
    return select(OUTSIDE, (tile.x * OUT_H + y) * OUT_W + x, exists);
}
