// Reads x four channels at a time, for CI a multiple of 4.

@group(0) @binding(0) var<storage, read> x: array<vec4<f32>>;

// Returns channels ci to ci + 3 of the pixel whose first channel is x[start], or zeros in the padding.
fn load_x(start: u32, ci: u32) -> vec4<f32> {
    let inside = start != OUTSIDE;
    return select(vec4<f32>(), x[select(0u, start + ci, inside) / 4u], vec4<bool>(inside));
}
