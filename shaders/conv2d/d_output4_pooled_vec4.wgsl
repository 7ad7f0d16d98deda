// Four channels at a time of the gradient behind a max pool, for CO a multiple of 4: the pooled
// gradient where the saved index points to the pixel, 0 elsewhere.

@group(0) @binding(1) var<storage, read> d_y: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> index: array<vec4<u32>>;

// Where the pooled pixel over (n, oy, ox) starts, and the position of (oy, ox) in its window.
fn d_output_source(n: u32, oy: u32, ox: u32) -> vec2<u32> {
    let py = oy / POOL_H;
    let px = ox / POOL_W;
    let inside = py < POOLED_H && px < POOLED_W;
    let start = ((n * POOLED_H + py) * POOLED_W + px) * CO;
    return vec2<u32>(select(OUTSIDE, start, inside), oy % POOL_H * POOL_W + ox % POOL_W);
}

// Channels co to co + 3 of a source; zeros OUTSIDE, anything finite past the last channel.
fn d_output4(source: vec2<u32>, co: u32) -> vec4<f32> {
    let inside = source.x != OUTSIDE;
    let ix = select(0u, source.x + min(co, CO - 4u), inside) / 4u;
    let here = index[ix] == vec4<u32>(source.y);
    return select(vec4<f32>(), d_y[ix], here & vec4<bool>(inside));
}
