// The rows of the product are the pixels of the result, in the order of memory.

const N_ROWS: u32 = N * OUT_H * OUT_W;
const ROWS_PER_PIXEL: u32 = 1u;

// Returns (n, row, column) of the pixel that belongs to a row of the product. For a row past the last, returns the last
// pixel again; the result of this row is not stored.
fn pixel_at(row: u32) -> vec3<u32> {
    let pixel = min(row, N_ROWS - 1u);
    return vec3<u32>(pixel / (OUT_H * OUT_W), pixel / OUT_W % OUT_H, pixel % OUT_W);
}

// Returns the number of the pixel in the result, or OUTSIDE for a row without a pixel.
fn stored_at(row: u32) -> u32 {
    return select(OUTSIDE, row, row < N_ROWS);
}
