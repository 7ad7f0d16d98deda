// The rows of the product are the pixels of the result in phases, for the gradient of the input of a convolution with a
// stride. Pixels have the same phase if the remainders of their row and column by the stride are the same. The positions
// (ky, kx) that have a term are the same for all pixels of a phase, and differ from phase to phase.
//
// Each phase has the same number of rows of the product, a multiple of the rows of a workgroup. So all invocations of a
// workgroup have the same positions.

// A multiple of this number of rows is a phase.
const ROWS_MULTIPLE: u32 = 1u;

// The largest number of rows and columns of the plane that have one phase, and the number of pixels.
const PHASE_H: u32 = (OUT_H + STRIDE_H - 1u) / STRIDE_H;
const PHASE_W: u32 = (OUT_W + STRIDE_W - 1u) / STRIDE_W;
const PHASE_PIXELS: u32 = N * PHASE_H * PHASE_W;

const PHASE_ROWS: u32 = (PHASE_PIXELS + ROWS_MULTIPLE - 1u) / ROWS_MULTIPLE * ROWS_MULTIPLE;
const N_ROWS: u32 = STRIDE_H * STRIDE_W * PHASE_ROWS;
const ROWS_PER_PIXEL: u32 = 1u;

// Returns (n, row, column) of the pixel that belongs to a row of the product. A row past the last pixel of its phase
// gives the last pixel again. The pixel may lie outside the plane, if the stride does not divide the plane. The results
// of such rows are not stored.
fn pixel_at(row: u32) -> vec3<u32> {
    let phase = min(row / PHASE_ROWS, STRIDE_H * STRIDE_W - 1u);
    let pixel = min(row % PHASE_ROWS, PHASE_PIXELS - 1u);
    return vec3<u32>(
        pixel / (PHASE_H * PHASE_W),
        pixel / PHASE_W % PHASE_H * STRIDE_H + phase / STRIDE_W,
        pixel % PHASE_W * STRIDE_W + phase % STRIDE_W,
    );
}

// Returns the number of the pixel in the result, or OUTSIDE for a row without a pixel.
fn stored_at(row: u32) -> u32 {
    let at = pixel_at(row);
    let exists = row < N_ROWS && row % PHASE_ROWS < PHASE_PIXELS && at.y < OUT_H && at.z < OUT_W;
    return select(OUTSIDE, (at.x * OUT_H + at.y) * OUT_W + at.z, exists);
}
