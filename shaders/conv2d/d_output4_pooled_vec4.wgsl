// Reads the gradient of the convolution's output before a max pool, four channels at a time, for CO a multiple of 4.
// This gradient is the pooled gradient d_y at the pixel of the saved index, and 0 at the other pixels of the window.

@group(0) @binding(1) var<storage, read> d_y: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> index: array<vec4<u32>>;

const LAST_SOURCE: u32 = (N * POOLED_H * POOLED_W - 1u) * CO;

// Returns the source of the pixel (n, oy, ox): the index in d_y of the first channel of its window, and the position of
// the pixel in the window. A pixel outside every window gets the position POOL_H * POOL_W, which no index has.
fn d_output_source(n: u32, oy: u32, ox: u32) -> vec2<u32> {
    let py = oy / POOL_H;
    let px = ox / POOL_W;
    let inside = py < POOLED_H && px < POOLED_W;
    let start = ((n * POOLED_H + py) * POOLED_W + px) * CO;
    let position = oy % POOL_H * POOL_W + ox % POOL_W;
    return select(vec2<u32>(0u, POOL_H * POOL_W), vec2<u32>(start, position), inside);
}

// Returns channels co to co + 3 of a source. A source OUTSIDE, or a channel past the last, gives other elements of d_y;
// the caller does not use them or multiplies them by zero.
fn d_output4(source: vec2<u32>, co: u32) -> vec4<f32> {
    let ix = (min(source.x, LAST_SOURCE) + min(co, CO - 4u)) / 4u;
    return select(vec4<f32>(), d_y[ix], index[ix] == vec4<u32>(source.y));
}
