// The statistics of the batch from mean and M2: the mean, the unbiased variance M2 / (n - 1) for the running variance,
// and inv_std = 1 / sqrt(M2 / n + EPS). The same function on the CPU is `batch_statistics` in
// src/ops/batch_norm/forward.rs.

const EPS: f32 = 1e-5;

@group(0) @binding(4) var<storage, read_write> mean_of: array<f32>;
@group(0) @binding(5) var<storage, read_write> unbiased_variance: array<f32>;

// Stores the mean and the unbiased variance of a channel. Returns its inv_std, 1 / sqrt(biased variance + EPS).
fn store_statistics(channel: u32, n: f32, mean: f32, m2: f32) -> f32 {
    mean_of[channel] = mean;
    // n is greater than 1, because the op rejects an input with one row, as PyTorch does.
    unbiased_variance[channel] = m2 / (n - 1.0);
    return 1.0 / sqrt(m2 / n + EPS);
}
