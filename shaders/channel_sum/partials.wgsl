// partials[partition, c] = sum over the partition's rows of x[row, c]
//
//   x [ROWS, CHANNELS],  partials [N_PARTITIONS, CHANNELS]
//
// This is the first half of a sum over all axes but the last; shared/sum_partials is the second. The partitions keep
// many invocations busy, and the order of the sum is fixed. One invocation sums one channel of one partition;
// neighbouring invocations read neighbouring channels. Grid: one axis of partial sums, folded into two (see
// shared/linear_index). Launched by src/ops/channel_sum.rs.

// #import shared/linear_index

const ROWS: u32 = 1u;
const CHANNELS: u32 = 1u;
const ROWS_PER_PARTITION: u32 = 1u;
const N_PARTITIONS: u32 = 1u;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> partials: array<f32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let ix = linear_index(workgroup, n_workgroups, local_ix);
    if ix >= N_PARTITIONS * CHANNELS {
        return;
    }
    let channel = ix % CHANNELS;
    let first = ix / CHANNELS * ROWS_PER_PARTITION;
    let last = min(first + ROWS_PER_PARTITION, ROWS);
    var sum = 0.0;
    for (var row = first; row < last; row++) {
        sum += x[row * CHANNELS + channel];
    }
    partials[ix] = sum;
}
