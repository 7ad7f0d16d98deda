// Whether a value takes the place of the largest so far: when it is larger, or is NaN. Among equals the
// first stays, and no number drives out a NaN, as in PyTorch.
//
// NaN is read off the bits, since a shader may be compiled as if there were none.

fn is_nan4(v: vec4<f32>) -> vec4<bool> {
    return (bitcast<vec4<u32>>(v) & vec4<u32>(0x7fffffffu)) > vec4<u32>(0x7f800000u);
}

fn wins4(values: vec4<f32>, largest: vec4<f32>) -> vec4<bool> {
    return is_nan4(values) | ((values > largest) & !is_nan4(largest));
}

fn wins(value: f32, largest: f32) -> bool {
    return wins4(vec4<f32>(value), vec4<f32>(largest)).x;
}
