// The import `bias` of a linear layer without a bias.

fn bias_of(o: u32) -> f32 {
    return 0.0;
}
