// The function `convolve` returns one element of a convolution:
//
//   y[n, oy, ox, co] = sum over ky, kx, ci of
//                      x[n, oy * stride + ky - padding, ox * stride + kx - padding, ci] * weight[ky, kx, ci, co]
//
// Here ci runs over the input channels of co's group, and x is 0 outside the plane.

// #import conv2d/geometry

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> weight: array<f32>;

fn convolve(n: u32, oy: u32, ox: u32, co: u32) -> f32 {
    let ci_per_group = CI / GROUPS;
    let first_ci = co / (CO / GROUPS) * ci_per_group;
    var sum = 0.0;
    for (var ky = 0u; ky < KERNEL_H; ky++) {
        for (var kx = 0u; kx < KERNEL_W; kx++) {
            let start = input_start(n, oy, ox, ky, kx);
            if start == OUTSIDE {
                continue;
            }
            for (var ci = 0u; ci < ci_per_group; ci++) {
                let weight_ix = ((ky * KERNEL_W + kx) * ci_per_group + ci) * CO + co;
                sum += x[start + first_ci + ci] * weight[weight_ix];
            }
        }
    }
    return sum;
}
