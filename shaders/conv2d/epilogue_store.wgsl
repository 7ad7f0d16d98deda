// Stores the 4 pixels of a tile, with the bias added.

// #import bias
// #import store_y

fn store_pixel(pixel: u32, co: u32, sum: Channels16) {
    if pixel < N * OH * OW {
        store_y(pixel * CO, co, sum.a + bias4(co));
        store_y(pixel * CO, co + 4u, sum.b + bias4(co + 4u));
        store_y(pixel * CO, co + 8u, sum.c + bias4(co + 8u));
        store_y(pixel * CO, co + 12u, sum.d + bias4(co + 12u));
    }
}

fn bias4(co: u32) -> vec4<f32> {
    return vec4<f32>(bias_of(co), bias_of(co + 1u), bias_of(co + 2u), bias_of(co + 3u));
}

fn store_tile(
    tile: u32,
    co: u32,
    sum0: Channels16,
    sum1: Channels16,
    sum2: Channels16,
    sum3: Channels16,
) {
    store_pixel(tile * 4u, co, sum0);
    store_pixel(tile * 4u + 1u, co, sum1);
    store_pixel(tile * 4u + 2u, co, sum2);
    store_pixel(tile * 4u + 3u, co, sum3);
}
