// Four output channels at a time, for CO a multiple of 4.

@group(0) @binding(2) var<storage, read_write> y: array<vec4<f32>>;

// Channels co to co + 3 of the pixel that starts at `start`; those past the last are dropped.
fn store_y(start: u32, co: u32, channels: vec4<f32>) {
    if co < CO {
        y[(start + co) / 4u] = channels;
    }
}
