// Returns true if a value replaces the largest value so far: if the value is greater or NaN. Of equal values the first
// stays, and a number does not replace a NaN, as in PyTorch's max pool. The same function on the CPU is
// `greater_or_nan` in src/ops/max_pool2d.rs.
//
// The bits show that a value is NaN. A comparison such as v != v would not do: a shader compiler may assume that no
// number is NaN.

fn is_nan4(v: vec4<f32>) -> vec4<bool> {
    return (bitcast<vec4<u32>>(v) & vec4<u32>(0x7fffffffu)) > vec4<u32>(0x7f800000u);
}

fn greater_or_nan4(values: vec4<f32>, largest: vec4<f32>) -> vec4<bool> {
    return is_nan4(values) | ((values > largest) & !is_nan4(largest));
}

fn greater_or_nan(value: f32, largest: f32) -> bool {
    return greater_or_nan4(vec4<f32>(value), vec4<f32>(largest)).x;
}
