// The import `gradient` of batch_norm/backward_partials, for a batch norm followed by the addition of a residual and a
// ReLU: defines the terms of the sums d_gamma and d_beta. Where the ReLU's output y is not positive, the gradient is 0.
// `gradient_at` also stores the gradient of the ReLU's input, which is the gradient of the residual.

@group(0) @binding(3) var<storage, read> x: array<f32>;
@group(0) @binding(4) var<storage, read> d_y: array<f32>;
@group(0) @binding(5) var<storage, read> y: array<f32>;
@group(0) @binding(6) var<storage, read> mean: array<f32>;
@group(0) @binding(7) var<storage, read> inv_std: array<f32>;
@group(0) @binding(8) var<storage, read_write> d_sum: array<f32>;

const PARTIALS_BINDING: u32 = 9u;

fn x_hat_at(ix: u32, c: u32) -> f32 {
    return (x[ix] - mean[c]) * inv_std[c];
}

fn gradient_at(ix: u32, c: u32, x_hat: f32) -> f32 {
    let d = select(0.0, d_y[ix], y[ix] > 0.0);
    d_sum[ix] = d;
    return d;
}
