// The import `bias` of a convolution with a bias. Its shape is [CO].

@group(0) @binding(3) var<storage, read> bias: array<f32>;

fn bias_of(co: u32) -> f32 {
    return bias[min(co, CO - 1u)];
}
