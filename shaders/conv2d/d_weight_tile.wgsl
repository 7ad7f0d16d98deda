// The gradient of a convolution's weight with workgroup memory: a workgroup makes a square tile of the product,
// 64 x 64 or 128 x 128, over a slab of pixels.
//
// Every sum has the same terms in the same order as in d_weight.wgsl, so both make the same bits. The 256
// invocations fetch STEP pixels of all rows and channels, one vector each of x and of d_out, put them into
// workgroup memory, and multiply what is there while the next ones are on their way.
// Grid: x counts tiles of rows, y slabs, z tiles of output channels. The import `tile` has the size.
// src/ops/conv2d/d_weight.rs launches it.

// #import conv2d/d_weight_rows
// #import tile

const TERM_VECTORS: u32 = TILE / 4u;

// Four rows at a pixel; zeros past the slab's last pixel.
fn fetch_left(row: u32, pixel: u32, last: u32) -> vec4<f32> {
    if pixel >= last || row >= N_ROWS {
        return vec4<f32>();
    }
    return load_rows(row, pixel / (OH * OW), pixel / OW % OH, pixel % OW);
}

// Four output channels at a pixel; zeros past the slab's last.
fn fetch_right(co: u32, pixel: u32, last: u32) -> vec4<f32> {
    if pixel >= last {
        return vec4<f32>();
    }
    return d_output4(d_output_source(pixel / (OH * OW), pixel / OW % OH, pixel % OW), co);
}

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let tile_row = workgroup.x * TILE;
    let tile_channel = workgroup.z * TILE;

    // What this invocation fetches in every step.
    let fetch_row = tile_row + local_ix % TERM_VECTORS * 4u;
    let fetch_channel = tile_channel + local_ix % TERM_VECTORS * 4u;
    let fetch_pixel = local_ix / TERM_VECTORS;

    let row = first_row(local_ix);
    let column = first_column(local_ix);
    var sums = zero_sums();
    let first = workgroup.y * PIXELS_PER_SLAB;
    let last = min(first + PIXELS_PER_SLAB, N_PIXELS);
    left[local_ix] = fetch_left(fetch_row, first + fetch_pixel, last);
    right[local_ix] = fetch_right(fetch_channel, first + fetch_pixel, last);
    workgroupBarrier();
    var buffer = 0u;
    for (var pixel = first; pixel < last; pixel += STEP) {
        // Past the last step these are zeros, which nobody uses.
        let next = pixel + STEP + fetch_pixel;
        let next_left = fetch_left(fetch_row, next, last);
        let next_right = fetch_right(fetch_channel, next, last);
        sums = add_rows(sums, buffer, row, column);
        buffer = 1u - buffer;
        left[buffer * 256u + local_ix] = next_left;
        right[buffer * 256u + local_ix] = next_right;
        workgroupBarrier();
    }
    store_sums(workgroup.y, tile_row + row, tile_channel + column, sums);
}
