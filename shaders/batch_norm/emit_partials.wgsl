// The import `emit` of batch_norm/merge_mean_m2 and batch_norm/backward_sums in every dispatch except the last. Stores
// the two results of each channel for each group, [groups, 2, channels]. The next dispatch reads the groups as its
// partitions.

@group(0) @binding(4) var<storage, read_write> merged: array<f32>;

fn emit(group: u32, channel: u32, n: f32, first: f32, second: f32) {
    merged[2u * group * n_channels + channel] = first;
    merged[(2u * group + 1u) * n_channels + channel] = second;
}
