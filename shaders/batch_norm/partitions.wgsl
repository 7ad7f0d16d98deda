// The sizes of a sum over the rows of x [rows, channels]: partitions of rows, and groups of partitions. They are numbers
// and not constants, so all batch norms of a network share a pipeline.

@group(0) @binding(0) var<uniform> n_rows: u32;
@group(0) @binding(1) var<uniform> rows_per_partition: u32;
@group(0) @binding(2) var<uniform> n_channels: u32;

// The number of partitions of a group; src/ops/partitions.rs has the same number.
const PARTITIONS_PER_GROUP: u32 = 32u;

fn n_partitions() -> u32 {
    return (n_rows + rows_per_partition - 1u) / rows_per_partition;
}

fn n_groups() -> u32 {
    return (n_partitions() + PARTITIONS_PER_GROUP - 1u) / PARTITIONS_PER_GROUP;
}
