// The rows of the product are the pixels of what is made, as they lie in memory.

const N_ROWS: u32 = N * OUT_H * OUT_W;
const ROWS_PER_PIXEL: u32 = 1u;

// (n, row, column) of the pixel of a row. Past the last row it is the last once more, which nobody stores.
fn pixel_at(row: u32) -> vec3<u32> {
    let pixel = min(row, N_ROWS - 1u);
    return vec3<u32>(pixel / (OUT_H * OUT_W), pixel / OUT_W % OUT_H, pixel % OUT_W);
}
