// The import `epilogue` of a product without a fused pool: stores four rows and four channels, with the bias added.

// #import bias
// #import store_result
// #import conv2d/mean_m2

fn store_row(split: u32, row: u32, channel: u32, values: vec4<f32>) {
    let pixel = stored_at(row);
    if pixel != OUTSIDE {
        store_result((split * N * OUT_H * OUT_W + pixel) * OUT_CHANNELS, channel, values);
    }
}

// Stores four rows. `row` is the first of the rows, `channel` the first of the four channels. With split-K, the result
// of each split is a whole [N, OUT_H, OUT_W, OUT_CHANNELS]. Returns mean and M2 of the stored rows.
fn store_rows(
    split: u32,
    row: u32,
    channel: u32,
    s0: vec4<f32>,
    s1: vec4<f32>,
    s2: vec4<f32>,
    s3: vec4<f32>,
) -> MeanM2 {
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
    let upper = merge(mean_m2_of(y0), mean_m2_of(y1), row, 1u);
    let lower = merge(mean_m2_of(y2), mean_m2_of(y3), row + 2u, 1u);
    return merge(upper, lower, row, 2u);
}
