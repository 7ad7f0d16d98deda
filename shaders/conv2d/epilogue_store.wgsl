// What becomes of four rows and four channels of the product: stored, with the bias added.

// #import bias
// #import store_result
// #import conv2d/moments

fn store_row(split: u32, row: u32, channel: u32, values: vec4<f32>) {
    if row < N_ROWS {
        store_result((split * N_ROWS + row) * OUT_CHANNELS, channel, values);
    }
}

// `row` is the first of the four, `channel` that of the lanes. The parts of the sums lie one behind the other. Returns
// the moments of what was stored.
fn store_rows(
    split: u32,
    row: u32,
    channel: u32,
    s0: vec4<f32>,
    s1: vec4<f32>,
    s2: vec4<f32>,
    s3: vec4<f32>,
) -> Moments {
    let bias = vec4<f32>(
        bias_of(channel),
        bias_of(channel + 1u),
        bias_of(channel + 2u),
        bias_of(channel + 3u),
    );
    let y0 = s0 + bias;
    let y1 = s1 + bias;
    let y2 = s2 + bias;
    let y3 = s3 + bias;
    store_row(split, row, channel, y0);
    store_row(split, row + 1u, channel, y1);
    store_row(split, row + 2u, channel, y2);
    store_row(split, row + 3u, channel, y3);
    let upper = merge(moments_of(y0), moments_of(y1), row, 1u);
    let lower = merge(moments_of(y2), moments_of(y3), row + 2u, 1u);
    return merge(upper, lower, row, 2u);
}
