// A value replaces the largest value so far if it is greater or NaN. Of equal values the first one
// stays, and a number does not replace a NaN, as in PyTorch's max pool. `greater_or_nan` in src/ops/max_pool2d.rs is
// the twin.
//
// NaN is read from the bits, because a shader compiler may assume that there is no NaN.

fn is_nan4(v: vec4<f32>) -> vec4<bool> {
    return (bitcast<vec4<u32>>(v) & vec4<u32>(0x7fffffffu)) > vec4<u32>(0x7f800000u);
}

fn greater_or_nan4(values: vec4<f32>, largest: vec4<f32>) -> vec4<bool> {
    return is_nan4(values) | ((values > largest) & !is_nan4(largest));
}

fn greater_or_nan(value: f32, largest: f32) -> bool {
    return greater_or_nan4(vec4<f32>(value), vec4<f32>(largest)).x;
}
