// The shapes of a batch norm: x [ROWS, CHANNELS], where ROWS is the product of all axes except the last. The sums over
// rows divide the rows into partitions, and the partitions into groups. The launch replaces every value.

const ROWS: u32 = 1u;
const CHANNELS: u32 = 1u;
const ROWS_PER_PARTITION: u32 = 1u;
const N_PARTITIONS: u32 = 1u;
const PARTITIONS_PER_GROUP: u32 = 1u;
const N_GROUPS: u32 = 1u;
const EPS: f32 = 1e-5;
