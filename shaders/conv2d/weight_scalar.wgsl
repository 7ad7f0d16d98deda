// Reads four neighbouring output channels of the weight as four numbers, so OUT_CHANNELS need not be a multiple of 4.
// (weight_vec4 reads them as one vec4.) A row is a position in the kernel and an input channel.

@group(0) @binding(WEIGHT_BINDING) var<storage, read> weight: array<f32>;

const LAST_WEIGHT: u32 = KERNEL_H * KERNEL_W * (IN_CHANNELS / GROUPS) * OUT_CHANNELS - 1u;

// Returns the weights of four channels in one row. A row or channel past the last gives other weights of the tensor:
// their factor is zero, or their sum is not stored.
fn load_weight(row: u32, channel: u32) -> vec4<f32> {
    let ix = row * OUT_CHANNELS + channel;
    return vec4<f32>(
        weight[min(ix, LAST_WEIGHT)],
        weight[min(ix + 1u, LAST_WEIGHT)],
        weight[min(ix + 2u, LAST_WEIGHT)],
        weight[min(ix + 3u, LAST_WEIGHT)],
    );
}
