// Convolution with workgroup memory: a workgroup computes a square tile of the product, 64 x 64 or 128 x 128.
//
// The product is that of forward.wgsl, and every sum has the same terms in the same order, so both kernels give the
// same bits. Here a number that is read once serves a whole row or column of the tile. The 256 invocations read STEP
// terms of all rows and columns, one vector each of pixels and of weights, and store them in workgroup memory. They
// multiply the terms of one step while the reads of the next step run. Grid: x and y count tiles of rows, z counts the
// splits of split-K, all splits of one tile of channels before those of the next. The import `tile` defines the size of
// a tile. src/ops/conv2d/product.rs launches this kernel.

// #import operands
// #import weight
// #import rows
// #import epilogue
// #import conv2d/kernel_rows
// #import tile
// #import finish

// ROW_VECTORS is the number of vec4s in the STEP terms of a row, TERM_VECTORS that in the TILE channels of a term.
const ROW_VECTORS: u32 = STEP / 4u;
const TERM_VECTORS: u32 = TILE / 4u;

// Each position (ky, kx) has TERMS terms of every sum. The last step of a position may have fewer than STEP terms.
const TERMS: u32 = IN_CHANNELS / GROUPS;
const STEPS_PER_POSITION: u32 = (TERMS + STEP - 1u) / STEP;

// Returns the (ky, kx) of a step. `first` is the first (ky, kx) that has a term in the tile, and n_kx the number of kx.
fn position_of(step: u32, first: vec2<u32>, n_kx: u32) -> vec2<u32> {
    let position = step / STEPS_PER_POSITION;
    let at = vec2<u32>(position / n_kx, position % n_kx);
    return first + at * vec2<u32>(POSITION_STEP_H, POSITION_STEP_W);
}

// Returns the left operand of four terms, from term `k` of a step at (ky, kx) on, for the row of a pixel. Returns zeros
// past the last channel. `first_channel` is the first channel of the group.
fn fetch_left(step: u32, at: vec2<u32>, pixel: vec3<u32>, first_channel: u32, k: u32) -> vec4<f32> {
    let term = step % STEPS_PER_POSITION * STEP + k;
    var source = source_of(pixel, at.x, at.y);
    source.x = select(OUTSIDE, source.x, term < TERMS);
    return load_source(source, first_channel + term);
}

// Returns the right operand of term `k` of a step at (ky, kx), for four channels from `channel` on.
fn fetch_right(step: u32, at: vec2<u32>, k: u32, channel: u32) -> vec4<f32> {
    let term = step % STEPS_PER_POSITION * STEP + k;
    return load_weight((at.x * KERNEL_W + at.y) * TERMS + term, channel);
}

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let tile_row = (workgroup.y * n_workgroups.x + workgroup.x) * TILE;
    if tile_row >= N_ROWS {
        return;
    }
    let tile_channel = workgroup.z / N_SPLITS * TILE;
    let split = workgroup.z % N_SPLITS;

    // In each iteration this invocation reads, of the left operand, four terms (from k_left) of its pixel, and of the
    // right operand one term (k_right) of four channels (from channel). k_left and k_right count from the first term of
    // the iteration.
    let pixel = pixel_at(tile_row + local_ix / ROW_VECTORS);
    let k_left = local_ix % ROW_VECTORS * 4u;
    let k_right = local_ix / TERM_VECTORS;
    let channel = tile_channel + local_ix % TERM_VECTORS * 4u;
    // With groups, all channels of the tile are of one group.
    let first_channel = tile_channel / (OUT_CHANNELS / GROUPS) * TERMS;

    let row = first_row(local_ix);
    let column = first_column(local_ix);
    var sums = zero_sums();
    let first_at = first_position(pixel_at(tile_row));
    let n = n_positions(first_at);
    let n_kx = max(n.y, 1u);
    let steps_per_kernel_row = n.y * STEPS_PER_POSITION;
    let first = first_kernel_row(split) * steps_per_kernel_row;
    let last = min(first_kernel_row(split + 1u), n.x) * steps_per_kernel_row;
    let at = position_of(first, first_at, n_kx);
    left[local_ix] = fetch_left(first, at, pixel, first_channel, k_left);
    right[local_ix] = fetch_right(first, at, k_right, channel);
    workgroupBarrier();
    for (var step = first; step < last; step++) {
        let buffer = (step - first) % 2u;
        // In the last iteration, `next` is the last step again: the reads stay inside the tensors, and no invocation
        // uses the numbers.
        let next = min(step + 1u, last - 1u);
        let next_at = position_of(next, first_at, n_kx);
        let next_left = fetch_left(next, next_at, pixel, first_channel, k_left);
        let next_right = fetch_right(next, next_at, k_right, channel);
        sums = add_terms(sums, buffer, row, column);
        left[(1u - buffer) * 256u + local_ix] = next_left;
        right[(1u - buffer) * 256u + local_ix] = next_right;
        workgroupBarrier();
    }
    finish(split, tile_row, tile_channel, local_ix, sums);
}
