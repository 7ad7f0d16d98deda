// No residual.

fn residual_at(ix: u32) -> vec4<f32> {
    return vec4<f32>();
}
