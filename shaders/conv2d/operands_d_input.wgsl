// The gradient of a convolution's input as a matrix product: patches of d_out times the transposed weight.
//
//   d_x[pixel, ci] = sum over ky, kx, co of d_out[pixel over (ky, kx), co] * weight[ky, kx, ci, co]
//
// For a pixel (h, w) of d_x, the pixel (oy, ox) over (ky, kx) has oy * stride + ky - padding = h and
// ox * stride + kx - padding = w. So every stride-th ky and kx has a term; the first one is the remainder of
// h + padding, or of w + padding. co runs over the output channels of ci's group. The weight is transposed by
// transpose_weight_vec4, or by transpose_weight_scalar, to [KERNEL_H, KERNEL_W, CO / GROUPS, CI], so that its rows run
// along the channels of d_x.

// #import conv2d/geometry
// #import d_output4

// The result has OUT_H x OUT_W pixels of OUT_CHANNELS channels; the source has IN_CHANNELS channels.
const OUT_H: u32 = H;
const OUT_W: u32 = W;
const OUT_CHANNELS: u32 = CI;
const IN_CHANNELS: u32 = CO;

const WEIGHT_BINDING: u32 = 0u;

// The distance between two positions of the kernel, along each axis, that have a term in the same sum.
const POSITION_STEP_H: u32 = STRIDE_H;
const POSITION_STEP_W: u32 = STRIDE_W;

// Returns the first (ky, kx) that has a term in the sums of a pixel.
fn first_position(pixel: vec3<u32>) -> vec2<u32> {
    return vec2<u32>((pixel.y + PADDING_H) % STRIDE_H, (pixel.z + PADDING_W) % STRIDE_W);
}

// For forward_narrow.wgsl, where a cell is STRIDE_H x STRIDE_W pixels of d_x. The window of the cell a, along each axis, is
// the pixels of d_out from a + LEAD down. LEAD is that of the first position of the cell's last pixel.
const LEAD_H: u32 = (STRIDE_H - 1u + PADDING_H) / STRIDE_H;
const LEAD_W: u32 = (STRIDE_W - 1u + PADDING_W) / STRIDE_W;
// The window ends with the last position of the cell's first pixel, (KERNEL - 1 - PADDING) / STRIDE, rounded down, before a.
const TAPS_H: u32 = LEAD_H + 1u + (KERNEL_H - 1u + (STRIDE_H - 1u) * PADDING_H) / STRIDE_H - PADDING_H;
const TAPS_W: u32 = LEAD_W + 1u + (KERNEL_W - 1u + (STRIDE_W - 1u) * PADDING_W) / STRIDE_W - PADDING_W;
// The distances between the windows of two neighbouring cells, and true because a larger ky or kx has an earlier pixel of
// d_out.
const WINDOW_STEP_H: u32 = 1u;
const WINDOW_STEP_W: u32 = 1u;
const MIRRORED: bool = true;

// Returns the position (ky, kx) that connects a pixel of the window to the pixel of a cell with this phase. A number past
// the kernel, or below zero and wrapped around, is no position.
fn kernel_position(tap: vec2<u32>, phase: vec2<u32>) -> vec2<u32> {
    let padding = vec2<u32>(PADDING_H, PADDING_W);
    let lead = vec2<u32>(LEAD_H, LEAD_W);
    return phase + padding + tap * vec2<u32>(STRIDE_H, STRIDE_W) - lead * vec2<u32>(STRIDE_H, STRIDE_W);
}

// Finds the pixel of d_out that the weight at (ky, kx) connects to the pixel (n, h, w) of d_x; (ky, kx) is a position
// that has a term. Returns two numbers, by which `d_output4` reads the pixel of d_out. The first number is OUTSIDE if
// this pixel is not in d_out.
fn source_of(pixel: vec3<u32>, ky: u32, kx: u32) -> vec2<u32> {
    // Below zero, `row` and `column` wrap around as u32 and fail the comparisons with OH and OW.
    let row = (pixel.y + PADDING_H - ky) / STRIDE_H;
    let column = (pixel.z + PADDING_W - kx) / STRIDE_W;
    let inside = row < OH && column < OW;
    let source = d_output_source(pixel.x, row, column);
    return vec2<u32>(select(OUTSIDE, source.x, inside), source.y);
}

// Returns channels co to co + 3 of the pixel of d_out whose source is given, or zeros if its index is OUTSIDE.
fn load_source(source: vec2<u32>, co: u32) -> vec4<f32> {
    return select(vec4<f32>(), d_output4(source, co), vec4<bool>(source.x != OUTSIDE));
}
