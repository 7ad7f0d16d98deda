// Where what is summed over an epoch lies; src/ops/metrics.rs has the same numbers.

const LOSS_SUM: u32 = 0u;
const N_CORRECT: u32 = 1u;
const N_IMAGES: u32 = 2u;
// Not 0 once a gradient was not finite; updates then leave the state as it is.
const NOT_FINITE: u32 = 3u;
