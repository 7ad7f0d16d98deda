// The residual that is added behind the ReLU, of x's shape.

@group(0) @binding(3) var<storage, read> residual: array<vec4<f32>>;

fn residual_at(ix: u32) -> vec4<f32> {
    return residual[ix];
}
