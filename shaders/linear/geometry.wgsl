// The shapes of a linear layer: x [ROWS, FEATURES_IN], weight [FEATURES_IN, FEATURES_OUT], y [ROWS,
// FEATURES_OUT]. The launch replaces every value.

const ROWS: u32 = 1u;
const FEATURES_IN: u32 = 1u;
const FEATURES_OUT: u32 = 1u;
