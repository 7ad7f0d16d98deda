// bn_affine, four channels at a time, for CHANNELS a multiple of 4. [4, CHANNELS]: mean, inv_std, gamma, beta, as
// batch_norm/emit_bn_affine stored them.

// #import batch_norm/geometry

@group(0) @binding(1) var<storage, read> bn_affine: array<vec4<f32>>;

const GROUPS: u32 = CHANNELS / 4u;

fn x_hat4(x: vec4<f32>, group: u32) -> vec4<f32> {
    return (x - bn_affine[group]) * bn_affine[GROUPS + group];
}

// The input of the ReLU. The forward and the backward pass both call this function, so that they agree on its sign.
fn normalised4(x_hat: vec4<f32>, group: u32) -> vec4<f32> {
    return fma(x_hat, bn_affine[2u * GROUPS + group], bn_affine[3u * GROUPS + group]);
}
