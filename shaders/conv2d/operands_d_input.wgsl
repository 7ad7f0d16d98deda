// The gradient of a convolution's input as a matrix product: patches of d_out times the transposed weight.
//
//   d_x[pixel, ci] = sum over ky, kx, co of d_out[pixel over (ky, kx), co] * weight[ky, kx, ci, co]
//
// For a pixel (h, w) of d_x, the pixel (oy, ox) over (ky, kx) has oy * stride + ky - padding = h and
// ox * stride + kx - padding = w. The weight is transposed by conv2d/transpose_weight to [KERNEL_H, KERNEL_W, CO, CI],
// so that its rows run along the channels of d_x.

// #import conv2d/geometry
// #import d_output4

// The result has OUT_H x OUT_W pixels of OUT_CHANNELS channels; each sum runs over ky, kx and IN_CHANNELS channels.
const OUT_H: u32 = H;
const OUT_W: u32 = W;
const OUT_CHANNELS: u32 = CI;
const IN_CHANNELS: u32 = CO;

const WEIGHT_BINDING: u32 = 0u;

// Finds the pixel of d_out that the weight at (ky, kx) connects to the pixel (n, h, w) of d_x. Returns two numbers, by
// which `d_output4` reads this pixel. The first number is OUTSIDE if there is no such pixel.
fn source_of(pixel: vec3<u32>, ky: u32, kx: u32) -> vec2<u32> {
    // Below zero, `row` and `column` wrap around as u32 and fail the comparisons with OH and OW.
    let row = pixel.y + PADDING_H - ky;
    let column = pixel.z + PADDING_W - kx;
    let inside = row % STRIDE_H == 0u && column % STRIDE_W == 0u
        && row / STRIDE_H < OH && column / STRIDE_W < OW;
    let source = d_output_source(pixel.x, row / STRIDE_H, column / STRIDE_W);
    return vec2<u32>(select(OUTSIDE, source.x, inside), source.y);
}

// Returns channels co to co + 3 of the pixel of d_out whose source is given, or zeros if its index is OUTSIDE.
fn load_source(source: vec2<u32>, co: u32) -> vec4<f32> {
    return select(vec4<f32>(), d_output4(source, co), vec4<bool>(source.x != OUTSIDE));
}
