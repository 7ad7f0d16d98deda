// Each block of four rows of the product is the four pixels of one window of the 2x2 pool after the convolution.

const ROWS_PER_PIXEL: u32 = 4u;
const N_ROWS: u32 = N * POOLED_H * POOLED_W * ROWS_PER_PIXEL;

// Returns (n, row, column) of the pixel that belongs to a row of the product. The pixels of a window are in row-major
// order. For a row past the last, returns the last pixel again; the result of this row is not stored.
fn pixel_at(row: u32) -> vec3<u32> {
    let i = min(row, N_ROWS - 1u);
    let window = i / 4u;
    let py = window / POOLED_W % POOLED_H;
    let px = window % POOLED_W;
    return vec3<u32>(window / (POOLED_H * POOLED_W), py * 2u + i / 2u % 2u, px * 2u + i % 2u);
}
