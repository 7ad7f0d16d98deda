// Reads one row of the weight four channels at a time, for OUT_CHANNELS a multiple of 4.

@group(0) @binding(WEIGHT_BINDING) var<storage, read> weight: array<vec4<f32>>;

const LAST_WEIGHT4: u32 = KERNEL_H * KERNEL_W * (IN_CHANNELS / GROUPS) * OUT_CHANNELS / 4u - 1u;

// Returns the weights of four channels in one row. A row or channel past the last gives other weights of the tensor:
// their factor is zero, or their sum is not stored.
fn load_weight(row: u32, channel: u32) -> vec4<f32> {
    return weight[min((row * OUT_CHANNELS + channel) / 4u, LAST_WEIGHT4)];
}
