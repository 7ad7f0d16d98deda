// Four input channels at a time, for CI a multiple of 4.

@group(0) @binding(2) var<storage, read_write> d_x: array<vec4<f32>>;

// Channels ci to ci + 3 of the pixel that starts at `start`; those past the last are dropped.
fn store_d_x(start: u32, ci: u32, channels: vec4<f32>) {
    if ci < CI {
        d_x[(start + ci) / 4u] = channels;
    }
}
