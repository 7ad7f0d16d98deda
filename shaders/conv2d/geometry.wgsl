// The shapes of a convolution. The launch replaces every value.
//
// x [N, H, W, CI], weight [KERNEL_H, KERNEL_W, CI / GROUPS, CO], y [N, OH, OW, CO]. With a fused pool only the output
// of the pool is stored, [N, POOLED_H, POOLED_W, CO], and the index of each maximum. With the import load_x_row, CI is
// the number of values of x under a row of the kernel, and KERNEL_W is 1; input_start is then without meaning.

// #import shared/window

const N: u32 = 1u;
const H: u32 = 1u;
const W: u32 = 1u;
const CI: u32 = 1u;
const OH: u32 = 1u;
const OW: u32 = 1u;
const CO: u32 = 1u;
const GROUPS: u32 = 1u;
const POOL_H: u32 = 1u;
const POOL_W: u32 = 1u;
const POOLED_H: u32 = 1u;
const POOLED_W: u32 = 1u;

const CI_PER_GROUP: u32 = CI / GROUPS;
const CO_PER_GROUP: u32 = CO / GROUPS;

// Stands for the index of a pixel that is not in the tensor, such as a pixel of the padding.
const OUTSIDE: u32 = 0xffffffffu;

// Returns the index in x of the first channel of the pixel under (ky, kx) of the window at (oy, ox), or OUTSIDE.
fn input_start(n: u32, oy: u32, ox: u32, ky: u32, kx: u32) -> u32 {
    let row = oy * STRIDE_H + ky;
    let column = ox * STRIDE_W + kx;
    let inside = row >= PADDING_H && row < H + PADDING_H
        && column >= PADDING_W && column < W + PADDING_W;
    return select(OUTSIDE, ((n * H + row - PADDING_H) * W + column - PADDING_W) * CI, inside);
}
