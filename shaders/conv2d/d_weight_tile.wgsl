// The gradient of a convolution's weight with workgroup memory: a workgroup computes a square tile of the product,
// 64 x 64 or 128 x 128, over a split of the pixels.
//
// Every sum has the same terms in the same order as in d_weight.wgsl, so both kernels give the same bits. The 256
// invocations read STEP pixels of all rows and channels, one vector each of x and of d_out, and store them in workgroup
// memory. They multiply the pixels of one step while the reads of the next step run. Grid: x counts tiles of rows, y
// counts splits, z counts tiles of output channels. The import `tile` defines the size of a tile.
// src/ops/conv2d/d_weight.rs launches this kernel.

// #import conv2d/d_weight_rows
// #import tile

const TERM_VECTORS: u32 = TILE / 4u;

// Returns the first channel of x in the group of the output channel co. A channel past the last gives the last group.
fn first_channel_of(co: u32) -> u32 {
    return min(co / CO_PER_GROUP, GROUPS - 1u) * CI_PER_GROUP;
}

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let tile_row = workgroup.x * TILE;
    let tile_channel = workgroup.z * TILE;

    // In every step, this invocation reads x for four rows of the product from fetch_row on, and d_out of four channels
    // from fetch_channel on, at the pixel number fetch_pixel of the step.
    let fetch_row = tile_row + local_ix % TERM_VECTORS * 4u;
    let fetch_channel = tile_channel + local_ix % TERM_VECTORS * 4u;
    let fetch_pixel = local_ix / TERM_VECTORS;
    // With groups, all channels of the tile are of one group.
    let first_channel = first_channel_of(tile_channel);

    let row = first_row(local_ix);
    let column = first_column(local_ix);
    var sums = zero_sums();
    let first = workgroup.y * PIXELS_PER_SPLIT;
    let end = min(first + PIXELS_PER_SPLIT, N_PIXELS);
    left[local_ix] = load_rows(fetch_row, first_channel, first + fetch_pixel, end);
    right[local_ix] = d_output4(source_at(first + fetch_pixel, end), fetch_channel);
    workgroupBarrier();
    var buffer = 0u;
    for (var pixel = first; pixel < end; pixel += STEP) {
        // After the last step, no invocation uses the numbers that are read here.
        let next = pixel + STEP + fetch_pixel;
        let next_left = load_rows(fetch_row, first_channel, next, end);
        let next_right = d_output4(source_at(next, end), fetch_channel);
        sums = add_rows(sums, buffer, row, column);
        buffer = 1u - buffer;
        left[buffer * 256u + local_ix] = next_left;
        right[buffer * 256u + local_ix] = next_right;
        workgroupBarrier();
    }
    store_sums(workgroup.y, tile_row + row, tile_channel + column, sums);
}
