// The import `bias` of a convolution with a bias. Its shape is [CO].

const BIAS_BINDING: u32 = 3u;

@group(0) @binding(BIAS_BINDING) var<storage, read> bias: array<f32>;

fn bias_of(co: u32) -> f32 {
    return bias[min(co, CO - 1u)];
}
