// The import `emit` of batch_norm/merge_mean_m2, for a batch norm followed by a ReLU. Stores mean and unbiased
// variance, and bn_affine [4, CHANNELS] with the rows mean, inv_std, gamma, beta. With bn_affine, the other kernels
// need one binding instead of four.

// #import batch_norm/statistics

@group(0) @binding(3) var<storage, read_write> bn_affine: array<f32>;
@group(0) @binding(4) var<storage, read> gamma: array<f32>;
@group(0) @binding(5) var<storage, read> beta: array<f32>;

fn emit(group: u32, channel: u32, n: f32, mean: f32, m2: f32) {
    bn_affine[channel] = mean;
    bn_affine[CHANNELS + channel] = store_statistics(channel, n, mean, m2);
    bn_affine[2u * CHANNELS + channel] = gamma[channel];
    bn_affine[3u * CHANNELS + channel] = beta[channel];
}
