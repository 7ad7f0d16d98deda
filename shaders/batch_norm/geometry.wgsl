// The shapes of a batch norm: x [ROWS, CHANNELS], where rows are all axes but the last, cut into slabs
// for the sums over them, and the slabs into groups. The Rust side replaces every value.

const ROWS: u32 = 1u;
const CHANNELS: u32 = 1u;
const ROWS_PER_SLAB: u32 = 1u;
const N_SLABS: u32 = 1u;
const SLABS_PER_GROUP: u32 = 1u;
const N_GROUPS: u32 = 1u;
const EPS: f32 = 1e-5;
