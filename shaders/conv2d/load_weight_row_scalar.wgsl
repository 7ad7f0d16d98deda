// Four output channels of one row (ky, kx, ci) of the weight, for any CO. A row or channel past the
// last gives other weights: what they are multiplied with is zero, or what they add to is not stored.

@group(0) @binding(0) var<storage, read> weight: array<f32>;

const LAST_WEIGHT: u32 = KERNEL_H * KERNEL_W * CI * CO - 1u;

fn load_weight_row(row: u32, co: u32) -> vec4<f32> {
    let ix = row * CO + co;
    return vec4<f32>(
        weight[min(ix, LAST_WEIGHT)],
        weight[min(ix + 1u, LAST_WEIGHT)],
        weight[min(ix + 2u, LAST_WEIGHT)],
        weight[min(ix + 3u, LAST_WEIGHT)],
    );
}
