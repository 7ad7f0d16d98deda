// Stores the result four channels at a time, for any OUT_CHANNELS.

const RESULT_BINDING: u32 = 2u;

@group(0) @binding(RESULT_BINDING) var<storage, read_write> result: array<f32>;

// Stores channels `channel` to `channel` + 3 of the pixel, or of the row of the weight's gradient, whose first channel
// is result[start]. Channels past the last are dropped.
fn store_result(start: u32, channel: u32, values: vec4<f32>) {
    let ix = start + channel;
    if channel < OUT_CHANNELS { result[ix] = values.x; }
    if channel + 1u < OUT_CHANNELS { result[ix + 1u] = values.y; }
    if channel + 2u < OUT_CHANNELS { result[ix + 2u] = values.z; }
    if channel + 3u < OUT_CHANNELS { result[ix + 3u] = values.w; }
}
