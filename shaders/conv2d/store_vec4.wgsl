// Stores the result four channels at a time, for OUT_CHANNELS a multiple of 4.

const RESULT_BINDING: u32 = 2u;

@group(0) @binding(RESULT_BINDING) var<storage, read_write> result: array<vec4<f32>>;

// Stores channels `channel` to `channel` + 3 of the pixel, or of the row of the weight's gradient, whose first channel
// is result[start]. Channels past the last are dropped.
fn store_result(start: u32, channel: u32, values: vec4<f32>) {
    if channel < OUT_CHANNELS {
        result[(start + channel) / 4u] = values;
    }
}
