// Groups of 1, 2, 4, 8 or 16 input channels and as many output channels: four output channels that begin at a multiple of
// 4 depend on four input channels alone, or on those of their group. For one channel a group, the convolution is called
// depthwise.

const GROUP_CHANNELS: u32 = CI / GROUPS;
// The number of vectors of four input channels on which four output channels depend.
const GROUP_VECTORS: u32 = (GROUP_CHANNELS + 3u) / 4u;

// Returns the factors of four output channels: channel k of the group of each of them. `channels` is the four input
// channels with the same numbers as the output channels. With groups of 8 or 16 channels, k counts those of one vector.
fn factors(channels: vec4<f32>, k: u32) -> vec4<f32> {
    if GROUP_CHANNELS == 1u {
        return channels;
    }
    if GROUP_CHANNELS == 2u {
        return select(channels.xxzz, channels.yyww, k == 1u);
    }
    return vec4<f32>(channels[k]);
}
