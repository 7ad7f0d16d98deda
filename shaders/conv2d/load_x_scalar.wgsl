// Reads x four channels at a time, for any CI.

// #import conv2d/x_source_pixel

@group(0) @binding(0) var<storage, read> x: array<f32>;

// Returns channels ci to ci + 3 of the pixel of x whose source is given, with zeros in the padding and past the last
// channel.
fn load_x(source: vec2<u32>, ci: u32) -> vec4<f32> {
    let start = source.x;
    var channels = vec4<f32>();
    if start != OUTSIDE {
        channels.x = x[start + ci];
        if ci + 1u < CI { channels.y = x[start + ci + 1u]; }
        if ci + 2u < CI { channels.z = x[start + ci + 2u]; }
        if ci + 3u < CI { channels.w = x[start + ci + 3u]; }
    }
    return channels;
}
