// Four output channels of one row (ky, kx, ci) of the weight, for CO a multiple of 4. A row past the
// last gives other weights: what they add to is not stored.

@group(0) @binding(0) var<storage, read> weight: array<vec4<f32>>;

const LAST_WEIGHT4: u32 = KERNEL_H * KERNEL_W * CI * CO / 4u - 1u;

fn load_weight_row(row: u32, co: u32) -> vec4<f32> {
    return weight[min((row * CO + co) / 4u, LAST_WEIGHT4)];
}
