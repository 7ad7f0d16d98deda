// Reads the gradient d_y [N, OH, OW, CO] of the convolution's output four channels at a time, for CO a multiple of 4.

@group(0) @binding(1) var<storage, read> d_y: array<vec4<f32>>;

// Returns the source of the pixel (n, oy, ox), from which `d_output4` reads: the index of its first channel in d_y, and
// an unused 0.
fn d_output_source(n: u32, oy: u32, ox: u32) -> vec2<u32> {
    return vec2<u32>(((n * OH + oy) * OW + ox) * CO, 0u);
}

const LAST_SOURCE: u32 = (N * OH * OW - 1u) * CO;

// Returns d_y in channels co to co + 3 of the pixel whose source is given. If the index in `source` is OUTSIDE, or a
// channel is past the last, returns other elements of d_y; the caller does not use them or multiplies them by zero.
fn d_output4(source: vec2<u32>, co: u32) -> vec4<f32> {
    return d_y[(min(source.x, LAST_SOURCE) + min(co, CO - 4u)) / 4u];
}
