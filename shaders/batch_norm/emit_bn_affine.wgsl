// The import `emit` of batch_norm/merge_mean_m2, for a batch norm followed by a ReLU. Stores mean and unbiased
// variance, and bn_affine [4, channels] with the rows mean, inv_std, gamma, beta. With bn_affine, the other kernels
// need one binding instead of four.

// #import batch_norm/statistics

@group(0) @binding(6) var<storage, read_write> bn_affine: array<f32>;
@group(0) @binding(7) var<storage, read> gamma: array<f32>;
@group(0) @binding(8) var<storage, read> beta: array<f32>;

fn emit(group: u32, channel: u32, n: f32, mean: f32, m2: f32) {
    bn_affine[channel] = mean;
    bn_affine[n_channels + channel] = store_statistics(channel, n, mean, m2);
    bn_affine[2u * n_channels + channel] = gamma[channel];
    bn_affine[3u * n_channels + channel] = beta[channel];
}
