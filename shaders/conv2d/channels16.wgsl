// Sixteen neighbouring channels in registers, and the one thing the tiled kernels do with them.
// Members have names because an array with an index known only at run time would live in memory.

struct Channels16 {
    a: vec4<f32>,
    b: vec4<f32>,
    c: vec4<f32>,
    d: vec4<f32>,
}

fn zero16() -> Channels16 {
    return Channels16(vec4<f32>(), vec4<f32>(), vec4<f32>(), vec4<f32>());
}

// sum + factor * v
fn multiply_add(sum: Channels16, factor: f32, v: Channels16) -> Channels16 {
    return Channels16(
        sum.a + factor * v.a,
        sum.b + factor * v.b,
        sum.c + factor * v.c,
        sum.d + factor * v.d,
    );
}
