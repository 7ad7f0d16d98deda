// The import `residual` of batch_norm/relu_forward where no residual is added: returns zeros.

fn residual_at(ix: u32) -> vec4<f32> {
    return vec4<f32>();
}
