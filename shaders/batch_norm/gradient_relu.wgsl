// The import `gradient` of batch_norm/backward_partials, for a batch norm followed by a ReLU: defines the terms of the
// sums d_gamma and d_beta. Where the input v of the ReLU is not positive, the gradient is 0. To recompute v from x
// costs less than to store v and read it back.

@group(0) @binding(3) var<storage, read> x: array<f32>;
@group(0) @binding(4) var<storage, read> d_y: array<f32>;
@group(0) @binding(5) var<storage, read> bn_affine: array<f32>;

const PARTIALS_BINDING: u32 = 6u;

fn x_hat_at(ix: u32, c: u32) -> f32 {
    return (x[ix] - bn_affine[c]) * bn_affine[n_channels + c];
}

fn gradient_at(ix: u32, c: u32, x_hat: f32) -> f32 {
    let v = fma(x_hat, bn_affine[2u * n_channels + c], bn_affine[3u * n_channels + c]);
    return select(0.0, d_y[ix], v > 0.0);
}
