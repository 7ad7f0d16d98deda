// The not-finite flag, and its values. src/ops/finite_check.rs has the same numbers.

// The index of the flag in the buffer `control`. Updates change the state only while the flag is 0.
const NOT_FINITE: u32 = 0u;

// The flag's value after a number that is not finite. The flag keeps this value until the host writes 0.
const STOPPED: f32 = 1.0;
// The flag's value in a step that is skipped. The next step computes the flag anew.
const SKIPPED: f32 = 2.0;
