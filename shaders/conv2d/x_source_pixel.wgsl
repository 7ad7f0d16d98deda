// The source of x for kernels that read the channels of a pixel.

// Returns the source of the pixel of x under (ky, kx) of the window at (oy, ox): the index of its first channel, or
// OUTSIDE, and an unused 0.
fn x_source(n: u32, oy: u32, ox: u32, ky: u32, kx: u32) -> vec2<u32> {
    return vec2<u32>(input_start(n, oy, ox, ky, kx), 0u);
}
