// The shapes of a pool: x [N, H, W, C], y [N, OH, OW, C]. The launch replaces every value.

// #import shared/window

const N: u32 = 1u;
const H: u32 = 1u;
const W: u32 = 1u;
const C: u32 = 1u;
const OH: u32 = 1u;
const OW: u32 = 1u;

// Returns the coordinates (n, row, column, channel) of element ix of a tensor [N, height, width, C].
fn unflatten(ix: u32, height: u32, width: u32) -> vec4<u32> {
    return vec4<u32>(ix / (C * width * height), ix / (C * width) % height, ix / C % width, ix % C);
}
