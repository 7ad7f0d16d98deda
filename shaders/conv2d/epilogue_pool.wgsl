// Stores the largest of the 4 pixels of a tile, channel by channel, and which of them it was. Among
// equals the first wins: later ones have to be larger, or NaN.

// #import store_y
// #import shared/wins

@group(0) @binding(3) var<storage, read_write> index: array<u32>;

fn store_largest(
    tile: u32,
    co: u32,
    v0: vec4<f32>,
    v1: vec4<f32>,
    v2: vec4<f32>,
    v3: vec4<f32>,
) {
    var largest = v0;
    var at = vec4<u32>(0u);
    var won = wins4(v1, largest);
    at = select(at, vec4<u32>(1u), won);
    largest = select(largest, v1, won);
    won = wins4(v2, largest);
    at = select(at, vec4<u32>(2u), won);
    largest = select(largest, v2, won);
    won = wins4(v3, largest);
    at = select(at, vec4<u32>(3u), won);
    largest = select(largest, v3, won);
    store_y(tile * CO, co, largest);
    let start = tile * CO + co;
    if co < CO { index[start] = at.x; }
    if co + 1u < CO { index[start + 1u] = at.y; }
    if co + 2u < CO { index[start + 2u] = at.z; }
    if co + 3u < CO { index[start + 3u] = at.w; }
}

fn store_tile(
    tile: u32,
    co: u32,
    sum0: Channels16,
    sum1: Channels16,
    sum2: Channels16,
    sum3: Channels16,
) {
    store_largest(tile, co, sum0.a, sum1.a, sum2.a, sum3.a);
    store_largest(tile, co + 4u, sum0.b, sum1.b, sum2.b, sum3.b);
    store_largest(tile, co + 8u, sum0.c, sum1.c, sum2.c, sum3.c);
    store_largest(tile, co + 12u, sum0.d, sum1.d, sum2.d, sum3.d);
}
