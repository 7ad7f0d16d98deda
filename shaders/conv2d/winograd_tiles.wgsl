// The tiles of Winograd's algorithm F(2x2, 3x3), and the matrices of transformed tiles.
//
// A tile is 2x2 pixels of a convolution's result, or a window of the fused 2x2 pool; it depends on 4x4 pixels of the
// source. Tiles are numbered by image, row and column. A transformed tile has 16 positions (i, j). For each position
// there is a matrix with a row for each tile, [PARTS, 16, PART_ROWS, channels]. The gradient of the weight sums over the
// tiles in parts, whose numbers of rows are multiples of four; the rows after the tiles are zeros.

// #import conv2d/geometry

const TILES_H: u32 = 1u;
const TILES_W: u32 = 1u;
const N_TILES: u32 = N * TILES_H * TILES_W;
const PARTS: u32 = 1u;
const PART_TILES: u32 = 1u;
const PART_ROWS: u32 = 1u;

// Returns (n, row, column) of the tile of a row, which is counted over all parts. n is OUTSIDE for a row without a tile.
fn tile_at(row: u32) -> vec3<u32> {
    let row_of_part = row % PART_ROWS;
    let tile = row / PART_ROWS * PART_TILES + row_of_part;
    let exists = row_of_part < PART_TILES && tile < N_TILES;
    return vec3<u32>(
        select(OUTSIDE, tile / (TILES_H * TILES_W), exists),
        tile / TILES_W % TILES_H,
        tile % TILES_W,
    );
}
