// Reads x four channels at a time, for CI a multiple of 4.

// #import conv2d/x_source_pixel

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;

// Returns channels ci to ci + 3 of the pixel of x whose source is given, or zeros in the padding.
fn load_x(source: vec2<u32>, ci: u32) -> vec4<f32> {
    let inside = source.x != OUTSIDE;
    return select(vec4<f32>(), x[select(0u, source.x + ci, inside) / 4u], vec4<bool>(inside));
}
