// The flag that makes updates leave the state as it is; src/ops/finite_check.rs has the same numbers.

// Updates change the state only while this element is 0.
const NOT_FINITE: u32 = 0u;

// The flag from a number that is not finite until the host lowers it.
const STOPPED: f32 = 1.0;
// The flag for this step alone.
const SKIPPED: f32 = 2.0;
