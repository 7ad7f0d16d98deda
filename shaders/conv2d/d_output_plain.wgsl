// The gradient of the convolution's output, without a pool: d_y [N, OH, OW, CO].

@group(0) @binding(1) var<storage, read> d_y: array<f32>;

fn d_output(n: u32, oy: u32, ox: u32, co: u32) -> f32 {
    return d_y[((n * OH + oy) * OW + ox) * CO + co];
}
