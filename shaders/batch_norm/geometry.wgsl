// The shapes of a batch norm: x [ROWS, CHANNELS], where rows are all axes but the last. For the sums over them, rows
// are divided into partitions, and the partitions into groups. The Rust side replaces every value.

const ROWS: u32 = 1u;
const CHANNELS: u32 = 1u;
const ROWS_PER_PARTITION: u32 = 1u;
const N_PARTITIONS: u32 = 1u;
const PARTITIONS_PER_GROUP: u32 = 1u;
const N_GROUPS: u32 = 1u;
const EPS: f32 = 1e-5;
