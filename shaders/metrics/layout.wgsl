// Where what is summed over an epoch lies; src/ops/metrics.rs has the same numbers.

const LOSS_SUM: u32 = 0u;
const N_CORRECT: u32 = 1u;
const N_IMAGES: u32 = 2u;
// The flag: while it is not 0, updates leave the state as it is.
const NOT_FINITE: u32 = 3u;
const N_SKIPPED: u32 = 4u;

// The flag since some number was not finite, until the host lowers it.
const STOPPED: f32 = 1.0;
// The flag for this step alone.
const SKIPPED: f32 = 2.0;
