// Reads the gradient of the convolution's output before a max pool, four channels at a time, for any CO. At the pixel
// of a window's saved index, this gradient is d_y, the gradient of the pool's output. At the other pixels of the
// window, it is 0.

@group(0) @binding(1) var<storage, read> d_y: array<f32>;
@group(0) @binding(3) var<storage, read> index: array<u32>;

const LAST_SOURCE: u32 = (N * POOLED_H * POOLED_W - 1u) * CO;

// Returns the source of the pixel (n, oy, ox), from which `d_output4` reads: the index in d_y of the first channel of
// the pixel's window, and the position of the pixel in the window. A pixel outside every window gets the position
// POOL_H * POOL_W, which no saved index has.
fn d_output_source(n: u32, oy: u32, ox: u32) -> vec2<u32> {
    let py = oy / POOL_H;
    let px = ox / POOL_W;
    let inside = py < POOLED_H && px < POOLED_W;
    let start = ((n * POOLED_H + py) * POOLED_W + px) * CO;
    let position = oy % POOL_H * POOL_W + ox % POOL_W;
    return select(vec2<u32>(0u, POOL_H * POOL_W), vec2<u32>(start, position), inside);
}

fn d_output1(source: vec2<u32>, co: u32) -> f32 {
    let ix = min(source.x, LAST_SOURCE) + min(co, CO - 1u);
    return select(0.0, d_y[ix], index[ix] == source.y && co < CO);
}

// Returns the gradient in channels co to co + 3 of the pixel whose source is given, with zeros past the last channel.
// If the index in `source` is OUTSIDE, returns numbers of another pixel; the caller does not use them or multiplies
// them by zero.
fn d_output4(source: vec2<u32>, co: u32) -> vec4<f32> {
    return vec4<f32>(
        d_output1(source, co),
        d_output1(source, co + 1u),
        d_output1(source, co + 2u),
        d_output1(source, co + 3u),
    );
}
