// The gradient of the convolution's output before a max pool. At the pixel of a window's saved index, this gradient is
// d_y [N, POOLED_H, POOLED_W, CO], the gradient of the pool's output. At the other pixels, it is 0. The whole tensor is
// never stored.

const INDEX_BINDING: u32 = 3u;

@group(0) @binding(1) var<storage, read> d_y: array<f32>;
@group(0) @binding(INDEX_BINDING) var<storage, read> index: array<u32>;

fn d_output(n: u32, oy: u32, ox: u32, co: u32) -> f32 {
    let py = oy / POOL_H;
    let px = ox / POOL_W;
    if py >= POOLED_H || px >= POOLED_W {
        return 0.0;
    }
    let ix = ((n * POOLED_H + py) * POOLED_W + px) * CO + co;
    return select(0.0, d_y[ix], index[ix] == oy % POOL_H * POOL_W + ox % POOL_W);
}
