// The import `epilogue` of a convolution with a fused max pool. The four rows of a block are one window of the pool.
// Stores, for each channel, the maximum and its position in the window; of equal values, the first is the maximum.

// #import store_result
// #import shared/greater_or_nan
// #import conv2d/mean_m2

const INDEX_BINDING: u32 = 3u;

@group(0) @binding(INDEX_BINDING) var<storage, read_write> index: array<u32>;

fn store_index(start: u32, channel: u32, at: vec4<u32>) {
    if channel < OUT_CHANNELS { index[start + channel] = at.x; }
    if channel + 1u < OUT_CHANNELS { index[start + channel + 1u] = at.y; }
    if channel + 2u < OUT_CHANNELS { index[start + channel + 2u] = at.z; }
    if channel + 3u < OUT_CHANNELS { index[start + channel + 3u] = at.w; }
}

// Pools four rows of the product, which are the pixels of one window, and stores the result. `row` is the first of the
// four rows, `channel` the first of the four channels. `split` is 0: the pool needs the whole sum, so there is no
// split-K. Returns mean and M2 of the stored pixel.
fn store_rows(
    split: u32,
    row: u32,
    channel: u32,
    s0: vec4<f32>,
    s1: vec4<f32>,
    s2: vec4<f32>,
    s3: vec4<f32>,
) -> MeanM2 {
    var largest = s0;
    var at = vec4<u32>(0u);
    var greater = greater_or_nan4(s1, largest);
    at = select(at, vec4<u32>(1u), greater);
    largest = select(largest, s1, greater);
    greater = greater_or_nan4(s2, largest);
    at = select(at, vec4<u32>(2u), greater);
    largest = select(largest, s2, greater);
    greater = greater_or_nan4(s3, largest);
    at = select(at, vec4<u32>(3u), greater);
    largest = select(largest, s3, greater);
    if row < N_ROWS {
        let start = row / ROWS_PER_PIXEL * OUT_CHANNELS;
        store_result(start, channel, largest);
        store_index(start, channel, at);
    }
    return mean_m2_of(largest);
}
