// Merges mean and M2 (the sum of squared deviations from the mean) of the partitions of a group, one partition after
// another (Chan, Golub and LeVeque 1979):
//
//   delta = mean_b - mean_a,  n = n_a + n_b
//   mean  = mean_a + delta n_b / n
//   M2    = M2_a + M2_b + delta^2 n_a n_b / n
//
// Here a is the merged partitions so far, b is the next partition, and n counts rows. One invocation merges one channel
// of one group. More than 32 partitions take several dispatches: the groups of one dispatch are the partitions of the
// next. The import `emit` stores the result. src/ops/batch_norm/forward.rs launches this kernel; the same function on
// the CPU is `merge_group` in src/ops/mean_m2.rs.

// #import shared/linear_index
// #import batch_norm/partitions
// #import emit

// [partitions, 2, channels]: means, then M2.
@group(0) @binding(3) var<storage, read> mean_m2: array<f32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let ix = linear_index(workgroup, n_workgroups, local_ix);
    if ix >= n_groups() * n_channels {
        return;
    }
    let channel = ix % n_channels;
    let first = ix / n_channels * PARTITIONS_PER_GROUP;
    let last = min(first + PARTITIONS_PER_GROUP, n_partitions());
    var mean = mean_m2[2u * first * n_channels + channel];
    var m2 = mean_m2[(2u * first + 1u) * n_channels + channel];
    var n_a = f32(min(rows_per_partition, n_rows - first * rows_per_partition));
    for (var b = first + 1u; b < last; b++) {
        let n_b = f32(min(rows_per_partition, n_rows - b * rows_per_partition));
        let n = n_a + n_b;
        let delta = mean_m2[2u * b * n_channels + channel] - mean;
        mean += delta * (n_b / n);
        m2 += mean_m2[(2u * b + 1u) * n_channels + channel] + delta * delta * (n_a * n_b / n);
        n_a = n;
    }
    emit(ix / n_channels, channel, n_a, mean, m2);
}
