// The rows of 16 products with the same numbers of rows, columns and terms, for Winograd's algorithm. The 16 matrices are
// phases, as in rows_phases.wgsl: the sums of a phase have terms at the positions (ky, kx) of the phase alone.
//
// Each phase has PHASE_ROWS rows, a multiple of the rows that one invocation, or the invocations that share reads,
// compute. Rows past the last of a phase are computed, but not stored.

// A multiple of this number of rows is a phase.
const ROWS_MULTIPLE: u32 = 1u;

const PHASE_ROWS: u32 = (OUT_W + ROWS_MULTIPLE - 1u) / ROWS_MULTIPLE * ROWS_MULTIPLE;
const N_ROWS: u32 = OUT_H * PHASE_ROWS;
const ROWS_PER_PIXEL: u32 = 1u;

// Returns (0, phase, row of the phase). A row past the last row of its phase gives the last row again.
fn pixel_at(row: u32) -> vec3<u32> {
    return vec3<u32>(0u, min(row / PHASE_ROWS, OUT_H - 1u), min(row % PHASE_ROWS, OUT_W - 1u));
}

// Returns the number of the row in the result, counted over the phases, or OUTSIDE for a row without a result.
fn stored_at(row: u32) -> u32 {
    let at = pixel_at(row);
    let exists = row < N_ROWS && row % PHASE_ROWS < OUT_W;
    return select(OUTSIDE, at.y * OUT_W + at.z, exists);
}
