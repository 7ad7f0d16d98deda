// What every batch norm makes of its moments: the mean, the unbiased variance m2 / (n - 1) that goes into the
// running one, and 1 / sqrt(m2 / n + EPS).

@group(0) @binding(1) var<storage, read_write> mean_of: array<f32>;
@group(0) @binding(2) var<storage, read_write> unbiased_variance: array<f32>;

// Stores the first two, and returns the third.
fn store_statistics(channel: u32, n: f32, mean: f32, m2: f32) -> f32 {
    mean_of[channel] = mean;
    // One row has no unbiased variance; PyTorch refuses it, and so does the shape rule.
    unbiased_variance[channel] = m2 / (n - 1.0);
    return 1.0 / sqrt(m2 / n + EPS);
}
