// The import `gradient` of batch_norm/backward_partials, for a batch norm without a ReLU: defines the terms of the sums
// d_gamma and d_beta.

@group(0) @binding(3) var<storage, read> x: array<f32>;
@group(0) @binding(4) var<storage, read> d_y: array<f32>;
@group(0) @binding(5) var<storage, read> mean: array<f32>;
@group(0) @binding(6) var<storage, read> inv_std: array<f32>;

const PARTIALS_BINDING: u32 = 7u;

fn x_hat_at(ix: u32, c: u32) -> f32 {
    return (x[ix] - mean[c]) * inv_std[c];
}

fn gradient_at(ix: u32, c: u32, x_hat: f32) -> f32 {
    return d_y[ix];
}
