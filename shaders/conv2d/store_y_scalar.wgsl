// Four output channels at a time, for any CO.

@group(0) @binding(2) var<storage, read_write> y: array<f32>;

// Channels co to co + 3 of the pixel that starts at `start`; those past the last are dropped.
fn store_y(start: u32, co: u32, channels: vec4<f32>) {
    if co < CO { y[start + co] = channels.x; }
    if co + 1u < CO { y[start + co + 1u] = channels.y; }
    if co + 2u < CO { y[start + co + 2u] = channels.z; }
    if co + 3u < CO { y[start + co + 3u] = channels.w; }
}
