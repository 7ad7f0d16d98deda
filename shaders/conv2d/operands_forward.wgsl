// The forward pass of a convolution as a matrix product: patches of x times the weight.
//
//   y[pixel, co] = sum over ky, kx, ci of x[pixel under (ky, kx), ci] * weight[ky, kx, ci, co]
//
// Here ci runs over the input channels of co's group.

// #import conv2d/geometry
// #import load_x

// The result has OUT_H x OUT_W pixels of OUT_CHANNELS channels; the source has IN_CHANNELS channels.
const OUT_H: u32 = OH;
const OUT_W: u32 = OW;
const OUT_CHANNELS: u32 = CO;
const IN_CHANNELS: u32 = CI;

const WEIGHT_BINDING: u32 = 1u;

// The distance between two positions of the kernel, along each axis, that have a term in the same sum.
const POSITION_STEP_H: u32 = 1u;
const POSITION_STEP_W: u32 = 1u;

// Returns the first (ky, kx) that has a term in the sums of a pixel.
fn first_position(pixel: vec3<u32>) -> vec2<u32> {
    return vec2<u32>(0u, 0u);
}

// For forward_narrow.wgsl: the size of the window of a cell, the distances between the windows of two neighbouring cells,
// and true if the windows of later cells begin earlier in the source.
const TAPS_H: u32 = KERNEL_H;
const TAPS_W: u32 = KERNEL_W;
const WINDOW_STEP_H: u32 = STRIDE_H;
const WINDOW_STEP_W: u32 = STRIDE_W;
const MIRRORED: bool = false;

// Returns the position (ky, kx) that connects a pixel of the window to the pixel of a cell with this phase.
fn kernel_position(tap: vec2<u32>, phase: vec2<u32>) -> vec2<u32> {
    return tap;
}

// Returns the source of the pixel of x that the weight at (ky, kx) connects to the pixel (n, oy, ox) of y. The import
// load_x defines it; its first number is OUTSIDE in the padding.
fn source_of(pixel: vec3<u32>, ky: u32, kx: u32) -> vec2<u32> {
    return x_source(pixel.x, pixel.y, pixel.z, ky, kx);
}

// Returns channels ci to ci + 3 of the pixel of x whose source is given, or zeros if it is OUTSIDE.
fn load_source(source: vec2<u32>, ci: u32) -> vec4<f32> {
    return load_x(source, ci);
}
