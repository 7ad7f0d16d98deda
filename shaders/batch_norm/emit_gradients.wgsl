// The import `emit` of batch_norm/backward_sums in its last dispatch: stores the gradients of gamma and beta.

@group(0) @binding(4) var<storage, read_write> d_gamma: array<f32>;
@group(0) @binding(5) var<storage, read_write> d_beta: array<f32>;

fn emit(group: u32, channel: u32, n: f32, gamma_sum: f32, beta_sum: f32) {
    d_gamma[channel] = gamma_sum;
    d_beta[channel] = beta_sum;
}
