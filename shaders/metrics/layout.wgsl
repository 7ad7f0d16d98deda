// Indices into the metrics buffer. Its sums run over an epoch. src/ops/metrics.rs has the same numbers.

const LOSS_SUM: u32 = 0u;
const N_CORRECT: u32 = 1u;
const N_IMAGES: u32 = 2u;
// A copy of the not-finite flag in the last step.
const FLAG: u32 = 3u;
const N_SKIPPED: u32 = 4u;
