// Moments in memory, [n, 2, OUT_CHANNELS]: means, then sums of squared deviations.

const MOMENTS_BINDING: u32 = 3u;

@group(0) @binding(MOMENTS_BINDING) var<storage, read_write> moments: array<f32>;

fn store_moment(start: u32, channel: u32, values: vec4<f32>) {
    let ix = start * OUT_CHANNELS + channel;
    if channel < OUT_CHANNELS { moments[ix] = values.x; }
    if channel + 1u < OUT_CHANNELS { moments[ix + 1u] = values.y; }
    if channel + 2u < OUT_CHANNELS { moments[ix + 2u] = values.z; }
    if channel + 3u < OUT_CHANNELS { moments[ix + 3u] = values.w; }
}

// Channels `channel` to `channel` + 3 of the moments of that number; those past the last are dropped.
fn store_moments(number: u32, channel: u32, values: Moments) {
    store_moment(2u * number, channel, values.mean);
    store_moment(2u * number + 1u, channel, values.m2);
}
