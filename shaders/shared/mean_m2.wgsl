// Mean and M2 of each channel over each partition of the rows of x [ROWS, CHANNELS]:
//
//   mean[partition, c] = 1/n sum of x[row, c],   M2[partition, c] = sum of (x[row, c] - mean[partition, c])^2
//
// The kernel reads the partition twice, for the mean and for M2. So M2 keeps its digits even if the mean is far larger
// than the deviations. The formula E[x^2] - E[x]^2 would lose these digits. mean_m2 is [N_PARTITIONS, 2, CHANNELS]:
// means, then M2. One invocation computes one channel of one partition. src/ops/mean_m2.rs launches this kernel;
// batch_norm/merge_mean_m2 merges the partitions.

// #import shared/linear_index

const ROWS: u32 = 1u;
const CHANNELS: u32 = 1u;
const ROWS_PER_PARTITION: u32 = 1u;
const N_PARTITIONS: u32 = 1u;

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> mean_m2: array<f32>;

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
    let partition_ix = ix / CHANNELS;
    let first = partition_ix * ROWS_PER_PARTITION;
    let last = min(first + ROWS_PER_PARTITION, ROWS);
    // The loop sums the differences from the partition's first row. These differences are small even where the values
    // are large, so the mean keeps its digits.
    let shift = x[first * CHANNELS + channel];
    var sum = 0.0;
    for (var row = first; row < last; row++) {
        sum += x[row * CHANNELS + channel] - shift;
    }
    let mean = shift + sum / f32(last - first);
    var m2 = 0.0;
    for (var row = first; row < last; row++) {
        let deviation = x[row * CHANNELS + channel] - mean;
        m2 += deviation * deviation;
    }
    mean_m2[2u * partition_ix * CHANNELS + channel] = mean;
    mean_m2[(2u * partition_ix + 1u) * CHANNELS + channel] = m2;
}
