// Reads bn_affine [4, CHANNELS] four channels at a time, for CHANNELS a multiple of 4. batch_norm/emit_bn_affine has
// stored its four rows: mean, inv_std, gamma, beta.

// #import batch_norm/geometry

@group(0) @binding(1) var<storage, read> bn_affine: array<vec4<f32>>;

const GROUPS: u32 = CHANNELS / 4u;

fn x_hat4(x: vec4<f32>, group: u32) -> vec4<f32> {
    return (x - bn_affine[group]) * bn_affine[GROUPS + group];
}

// Returns the output of the batch norm, which is the input of the ReLU after it. The forward and the backward pass call
// the same function, so the two passes agree on the sign of this input.
fn normalised4(x_hat: vec4<f32>, group: u32) -> vec4<f32> {
    return fma(x_hat, bn_affine[2u * GROUPS + group], bn_affine[3u * GROUPS + group]);
}
