// Stores two numbers a channel for each group, [N_GROUPS, 2, CHANNELS]: the partitions of the next dispatch.

@group(0) @binding(1) var<storage, read_write> merged: array<f32>;

fn emit(group: u32, channel: u32, n: f32, first: f32, second: f32) {
    merged[2u * group * CHANNELS + channel] = first;
    merged[(2u * group + 1u) * CHANNELS + channel] = second;
}
