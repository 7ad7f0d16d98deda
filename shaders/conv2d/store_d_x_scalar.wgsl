// Four input channels at a time, for any CI.

@group(0) @binding(2) var<storage, read_write> d_x: array<f32>;

// Channels ci to ci + 3 of the pixel that starts at `start`; those past the last are dropped.
fn store_d_x(start: u32, ci: u32, channels: vec4<f32>) {
    if ci < CI { d_x[start + ci] = channels.x; }
    if ci + 1u < CI { d_x[start + ci + 1u] = channels.y; }
    if ci + 2u < CI { d_x[start + ci + 2u] = channels.z; }
    if ci + 3u < CI { d_x[start + ci + 3u] = channels.w; }
}
