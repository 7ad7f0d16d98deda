// The import `bias` of a linear layer with a bias. Its shape is [FEATURES_OUT].

@group(0) @binding(3) var<storage, read> bias: array<f32>;

fn bias_of(o: u32) -> f32 {
    return bias[o];
}
