// Sixteen output channels of one row (ky, kx, ci) of the weight, for CO a multiple of 4.
//
// A row or channel past the last gives other weights of the tensor: what they are multiplied with is
// zero, or what they add to is not stored.

@group(0) @binding(1) var<storage, read> weight: array<vec4<f32>>;

const LAST_WEIGHT4: u32 = KERNEL_H * KERNEL_W * CI * CO / 4u - 1u;

fn load_weight(row: u32, co: u32) -> Channels16 {
    let ix = (row * CO + co) / 4u;
    return Channels16(
        weight[min(ix, LAST_WEIGHT4)],
        weight[min(ix + 1u, LAST_WEIGHT4)],
        weight[min(ix + 2u, LAST_WEIGHT4)],
        weight[min(ix + 3u, LAST_WEIGHT4)],
    );
}
