// The moments of a tile's slabs, from those of its invocations: the upper levels of the tree in conv2d/moments, in
// workgroup memory. The product is done with that by now.

// #import conv2d/store_moments

// The moments of OWN_ROWS rows from `row` of the tile on: means go to `left`, the rest to `right`.
fn put(row: u32, column: u32, values: Moments) {
    let at = place(row, column / 4u);
    left[at] = values.mean;
    right[at] = values.m2;
}

fn place(row: u32, vector: u32) -> u32 {
    return row / OWN_ROWS * TERM_VECTORS + vector;
}

fn merge_tile(tile_row: u32, tile_channel: u32, local_ix: u32) {
    let pair = local_ix / TERM_VECTORS;
    let vector = local_ix % TERM_VECTORS;
    for (var n = OWN_ROWS; n < SLAB_ROWS; n *= 2u) {
        workgroupBarrier();
        let row = pair * 2u * n;
        if row < TILE {
            let a = place(row, vector);
            let b = place(row + n, vector);
            let both = merge(
                Moments(left[a], right[a]),
                Moments(left[b], right[b]),
                tile_row + row,
                n,
            );
            left[a] = both.mean;
            right[a] = both.m2;
        }
    }
    // Who merged a slab's halves stores it.
    let row = pair * SLAB_ROWS;
    if row < TILE && tile_row + row < N_ROWS {
        let at = place(row, vector);
        store_moments((tile_row + row) / SLAB_ROWS, tile_channel + vector * 4u, Moments(left[at], right[at]));
    }
}
