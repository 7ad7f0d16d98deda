// Indices into the metrics buffer, whose sums run over an epoch. src/ops/metrics.rs has the same numbers.

const LOSS_SUM: u32 = 0u;
const N_CORRECT: u32 = 1u;
const N_IMAGES: u32 = 2u;
// The not-finite flag. While it is not 0, updates leave the state as it is.
const NOT_FINITE: u32 = 3u;
const N_SKIPPED: u32 = 4u;

// The flag's value from the first number that is not finite until the host clears it.
const STOPPED: f32 = 1.0;
// The flag's value in a skipped step; the next step clears it.
const SKIPPED: f32 = 2.0;
