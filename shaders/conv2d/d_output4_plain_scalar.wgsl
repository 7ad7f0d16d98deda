// Reads the gradient d_y [N, OH, OW, CO] of the convolution's output four channels at a time, for any CO.

@group(0) @binding(1) var<storage, read> d_y: array<f32>;

// Returns the source of the pixel (n, oy, ox), from which `d_output4` reads: the index of its first channel in d_y, and
// an unused 0.
fn d_output_source(n: u32, oy: u32, ox: u32) -> vec2<u32> {
    return vec2<u32>(((n * OH + oy) * OW + ox) * CO, 0u);
}

const LAST_SOURCE: u32 = (N * OH * OW - 1u) * CO;

fn d_output1(start: u32, co: u32) -> f32 {
    return select(0.0, d_y[start + min(co, CO - 1u)], co < CO);
}

// Returns d_y in channels co to co + 3 of the pixel whose source is given, with zeros past the last channel. If the
// index in `source` is OUTSIDE, returns numbers of another pixel; the caller does not use them or multiplies them by
// zero.
fn d_output4(source: vec2<u32>, co: u32) -> vec4<f32> {
    let start = min(source.x, LAST_SOURCE);
    return vec4<f32>(
        d_output1(start, co),
        d_output1(start, co + 1u),
        d_output1(start, co + 2u),
        d_output1(start, co + 3u),
    );
}
