// The input images: pixels [IMAGES, CHANNELS, HEIGHT, WIDTH], four bytes to a word, and the table [256, CHANNELS] of
// normalised values, one for each byte value and channel.

const IMAGES: u32 = 1u;
const CHANNELS: u32 = 3u;
const HEIGHT: u32 = 32u;
const WIDTH: u32 = 32u;

@group(0) @binding(0) var<storage, read> pixels: array<u32>;
@group(0) @binding(1) var<storage, read> table: array<f32>;

fn pixel(image: u32, channel: u32, row: u32, column: u32) -> u32 {
    let ix = ((image * CHANNELS + channel) * HEIGHT + row) * WIDTH + column;
    return (pixels[ix / 4u] >> (8u * (ix % 4u))) & 0xffu;
}
