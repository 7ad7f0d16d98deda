// Stores mean and M2 of register tiles or of partitions, [number of tiles or partitions, 2, OUT_CHANNELS]: means, then
// M2.

const MEAN_M2_BINDING: u32 = 3u;

@group(0) @binding(MEAN_M2_BINDING) var<storage, read_write> mean_m2: array<f32>;

fn store_four(row: u32, channel: u32, values: vec4<f32>) {
    let ix = row * OUT_CHANNELS + channel;
    if channel < OUT_CHANNELS { mean_m2[ix] = values.x; }
    if channel + 1u < OUT_CHANNELS { mean_m2[ix + 1u] = values.y; }
    if channel + 2u < OUT_CHANNELS { mean_m2[ix + 2u] = values.z; }
    if channel + 3u < OUT_CHANNELS { mean_m2[ix + 3u] = values.w; }
}

// Stores mean and M2 of channels `channel` to `channel` + 3 for the register tile or partition with this number.
// Channels past the last are dropped.
fn store_mean_m2(number: u32, channel: u32, values: MeanM2) {
    store_four(2u * number, channel, values.mean);
    store_four(2u * number + 1u, channel, values.m2);
}
