// Four channels at a time of the gradient before a max pool, for any CO: the pooled gradient where the saved index is
// the position of the pixel, 0 elsewhere.

@group(0) @binding(1) var<storage, read> d_y: array<f32>;
@group(0) @binding(3) var<storage, read> index: array<u32>;

const LAST_SOURCE: u32 = (N * POOLED_H * POOLED_W - 1u) * CO;

// Returns the index of the first channel of the pooled pixel over (n, oy, ox), and the position of (oy, ox) in its
// window. If no window has the pixel, the position is one that no index has.
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

// Returns channels co to co + 3 of a source, with zeros past the last channel. A source OUTSIDE gives another pixel.
fn d_output4(source: vec2<u32>, co: u32) -> vec4<f32> {
    return vec4<f32>(
        d_output1(source, co),
        d_output1(source, co + 1u),
        d_output1(source, co + 2u),
        d_output1(source, co + 3u),
    );
}
