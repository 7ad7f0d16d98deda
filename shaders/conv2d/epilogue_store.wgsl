// What becomes of four rows and four channels of the product: stored, with the bias added.

// #import bias
// #import store_result

fn store_row(part: u32, row: u32, channel: u32, values: vec4<f32>) {
    if row < N_ROWS {
        store_result((part * N_ROWS + row) * OUT_CHANNELS, channel, values);
    }
}

// `row` is the first of the four, `channel` that of the lanes. The parts of the sums lie one behind the other.
fn store_rows(
    part: u32,
    row: u32,
    channel: u32,
    s0: vec4<f32>,
    s1: vec4<f32>,
    s2: vec4<f32>,
    s3: vec4<f32>,
) {
    let bias = vec4<f32>(
        bias_of(channel),
        bias_of(channel + 1u),
        bias_of(channel + 2u),
        bias_of(channel + 3u),
    );
    store_row(part, row, channel, s0 + bias);
    store_row(part, row + 1u, channel, s1 + bias);
    store_row(part, row + 2u, channel, s2 + bias);
    store_row(part, row + 3u, channel, s3 + bias);
}
