// Reads x four values at a time from those under a row of the kernel, for one group whose channels are no multiple of 4.
//
// In memory, the values of x under a row of the kernel are neighbours, and so are their weights. So they count as the
// channels of one position: for a kernel of KH x KW on C channels the launch sets KERNEL_H to KH, KERNEL_W to 1, CI to
// KW * C, and PIXEL_CHANNELS to C. Steps of four values then have terms of zero only at the end of a row: a 7x7 kernel
// on three channels has 6 steps a row in place of 7. src/ops/conv2d/row_positions.rs chooses this import.

@group(0) @binding(0) var<storage, read> x: array<f32>;

const PIXEL_CHANNELS: u32 = 1u;
const ROW_OF_X: u32 = W * PIXEL_CHANNELS;

// Returns the source of the values of x under row ky of the window at (oy, ox): the index of the first value of the row
// of x, or OUTSIDE, and the distance from there to the first value under the kernel. If this is in the left padding, the
// distance is negative and wraps around, so it exceeds the row. kx is 0.
fn x_source(n: u32, oy: u32, ox: u32, ky: u32, kx: u32) -> vec2<u32> {
    let row = oy * STRIDE_H + ky;
    let inside = row >= PADDING_H && row < H + PADDING_H;
    let start = select(OUTSIDE, (n * H + row - PADDING_H) * ROW_OF_X, inside);
    return vec2<u32>(start, (ox * STRIDE_W - PADDING_W) * PIXEL_CHANNELS);
}

// Returns values t to t + 3 of those whose source is given, with zeros in the padding and past the last value.
fn load_x(source: vec2<u32>, t: u32) -> vec4<f32> {
    let terms = vec4<u32>(t) + vec4<u32>(0u, 1u, 2u, 3u);
    let at = vec4<u32>(source.y) + terms;
    let inside = (terms < vec4<u32>(CI)) & (at < vec4<u32>(ROW_OF_X)) & vec4<bool>(source.x != OUTSIDE);
    var values = vec4<f32>();
    if inside.x { values.x = x[source.x + at.x]; }
    if inside.y { values.y = x[source.x + at.y]; }
    if inside.z { values.z = x[source.x + at.z]; }
    if inside.w { values.w = x[source.x + at.w]; }
    return values;
}
