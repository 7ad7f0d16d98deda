// The import `emit` of batch_norm/merge_mean_m2, for a batch norm without a ReLU: stores mean, unbiased variance and
// inv_std.

// #import batch_norm/statistics

@group(0) @binding(6) var<storage, read_write> inv_std_of: array<f32>;

fn emit(group: u32, channel: u32, n: f32, mean: f32, m2: f32) {
    inv_std_of[channel] = store_statistics(channel, n, mean, m2);
}
