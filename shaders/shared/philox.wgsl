// Philox4x32-10 (Salmon, Moraes, Dror and Shaw 2011): four random words as a function of a counter and a key, without a
// state. WGSL has no 64-bit integers, so products are assembled from 16-bit halves. The same function on the CPU is in
// src/ops/philox.rs, whose tests use the published vectors.

// Returns the upper 32 bits of a * b.
fn multiply_high(a: u32, b: u32) -> u32 {
    let a_low = a & 0xffffu;
    let a_high = a >> 16u;
    let b_low = b & 0xffffu;
    let b_high = b >> 16u;
    let low = a_low * b_low;
    // The two sums below fit into 32 bits, because (2^16 - 1)^2 + 2^16 - 1 < 2^32.
    let middle = a_high * b_low + (low >> 16u);
    let middle2 = a_low * b_high + (middle & 0xffffu);
    return a_high * b_high + (middle >> 16u) + (middle2 >> 16u);
}

fn philox(counter: vec4<u32>, key: vec2<u32>) -> vec4<u32> {
    var c = counter;
    var k = key;
    for (var round = 0u; round < 10u; round++) {
        c = vec4<u32>(
            multiply_high(0xcd9e8d57u, c.z) ^ c.y ^ k.x,
            0xcd9e8d57u * c.z,
            multiply_high(0xd2511f53u, c.x) ^ c.w ^ k.y,
            0xd2511f53u * c.x,
        );
        k += vec2<u32>(0x9e3779b9u, 0xbb67ae85u);
    }
    return c;
}
