// Four channels at a time of the gradient d_y [N, OH, OW, CO], for any CO.

@group(0) @binding(1) var<storage, read> d_y: array<f32>;

// Where the pixel (n, oy, ox) starts; there is one source for every pixel.
fn d_output_source(n: u32, oy: u32, ox: u32) -> vec2<u32> {
    return vec2<u32>(((n * OH + oy) * OW + ox) * CO, 0u);
}

// Channels co to co + 3 of a source; zeros OUTSIDE and past the last channel.
fn d_output4(source: vec2<u32>, co: u32) -> vec4<f32> {
    var channels = vec4<f32>();
    if source.x != OUTSIDE {
        if co < CO { channels.x = d_y[source.x + co]; }
        if co + 1u < CO { channels.y = d_y[source.x + co + 1u]; }
        if co + 2u < CO { channels.z = d_y[source.x + co + 2u]; }
        if co + 3u < CO { channels.w = d_y[source.x + co + 3u]; }
    }
    return channels;
}
