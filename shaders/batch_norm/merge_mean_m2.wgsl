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
// #import batch_norm/geometry
// #import emit

// [N_PARTITIONS, 2, CHANNELS]: means, then M2.
@group(0) @binding(0) var<storage, read> mean_m2: array<f32>;

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let ix = linear_index(workgroup, n_workgroups, local_ix);
    if ix >= N_GROUPS * CHANNELS {
        return;
    }
    let channel = ix % CHANNELS;
    let first = ix / CHANNELS * PARTITIONS_PER_GROUP;
    let last = min(first + PARTITIONS_PER_GROUP, N_PARTITIONS);
    var mean = mean_m2[2u * first * CHANNELS + channel];
    var m2 = mean_m2[(2u * first + 1u) * CHANNELS + channel];
    var n_a = f32(min(ROWS_PER_PARTITION, ROWS - first * ROWS_PER_PARTITION));
    for (var b = first + 1u; b < last; b++) {
        let n_b = f32(min(ROWS_PER_PARTITION, ROWS - b * ROWS_PER_PARTITION));
        let n = n_a + n_b;
        let delta = mean_m2[2u * b * CHANNELS + channel] - mean;
        mean += delta * (n_b / n);
        m2 += mean_m2[(2u * b + 1u) * CHANNELS + channel] + delta * delta * (n_a * n_b / n);
        n_a = n;
    }
    emit(ix / CHANNELS, channel, n_a, mean, m2);
}
