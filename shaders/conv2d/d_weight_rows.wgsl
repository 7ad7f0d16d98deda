// The gradient of a convolution's weight as a matrix product: patches of x, transposed, times d_out.
//
//   d_weight[ky, kx, ci, co] = sum over pixels of x[pixel under (ky, kx), ci] * d_out[pixel, co]
//
// A row of the product is one (ky, kx, ci), where ci counts the channels of a group. The channels ci are padded to a
// multiple of 4, so every block of four rows belongs to one (ky, kx). With the import load_x_row, a position is a row of
// the kernel, and ci counts the values of x under it. There are far more pixels than rows, so split-K divides the
// pixels. The number of splits depends on the shape alone, and shared/sum_partials adds the partial sums in a fixed
// order.

// #import conv2d/geometry
// #import load_x
// #import d_output4
// #import store_result

const N_PIXELS: u32 = N * OH * OW;
const N_SPLITS: u32 = 1u;
const PIXELS_PER_SPLIT: u32 = (N_PIXELS + N_SPLITS - 1u) / N_SPLITS;
const CI_BY_FOURS: u32 = (CI_PER_GROUP + 3u) / 4u * 4u;
const N_ROWS: u32 = KERNEL_H * KERNEL_W * CI_BY_FOURS;
const OUT_CHANNELS: u32 = CO;

// Returns the left operand for four rows at an output pixel: four channels of the position of x under (ky, kx), counted
// from `first_channel` on. Returns zeros in the padding, past the last row, and from the pixel `end` on.
fn load_rows(row: u32, first_channel: u32, pixel: u32, end: u32) -> vec4<f32> {
    let position = row / CI_BY_FOURS;
    let n = pixel / (OH * OW);
    let oy = pixel / OW % OH;
    var source = x_source(n, oy, pixel % OW, position / KERNEL_W, position % KERNEL_W);
    source.x = select(OUTSIDE, source.x, pixel < end && row < N_ROWS);
    let channel = first_channel + row % CI_BY_FOURS;
    return load_x(source, channel);
}

// Returns the source from which `d_output4` reads an output pixel. From the pixel `end` on, its index is OUTSIDE; for
// these pixels `load_rows` returns zeros.
fn source_at(pixel: u32, end: u32) -> vec2<u32> {
    let source = d_output_source(pixel / (OH * OW), pixel / OW % OH, pixel % OW);
    return vec2<u32>(select(OUTSIDE, source.x, pixel < end), source.y);
}

fn store_row(split: u32, row: u32, co: u32, sums: vec4<f32>) {
    let ci = row % CI_BY_FOURS;
    if row < N_ROWS && ci < CI_PER_GROUP {
        let position = split * KERNEL_H * KERNEL_W + row / CI_BY_FOURS;
        let start = (position * CI_PER_GROUP + ci) * CO;
        store_result(start, co, sums);
    }
}

// Stores four rows of four channels. `row` is the first of the rows, `co` the first of the channels.
fn store_rows(
    split: u32,
    row: u32,
    co: u32,
    s0: vec4<f32>,
    s1: vec4<f32>,
    s2: vec4<f32>,
    s3: vec4<f32>,
) {
    store_row(split, row, co, s0);
    store_row(split, row + 1u, co, s1);
    store_row(split, row + 2u, co, s2);
    store_row(split, row + 3u, co, s3);
}
