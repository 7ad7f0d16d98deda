// The import `finish` of conv2d/forward_tile with tiles of 128 x 128, for a convolution followed by a batch norm.
// Stores the elements of the product in the workgroup's tile, and mean and M2 of the tile's two partitions of 64 rows.

// #import conv2d/merge_workgroup

// An invocation merges mean and M2 of this number of rows by itself. Then the workgroup merges the results of its
// invocations.
const OWN_ROWS: u32 = 8u;

fn store_half(split: u32, row: u32, column: u32, b: Block) -> MeanM2 {
    return store_rows(split, row, column, b.s0, b.s1, b.s2, b.s3);
}

fn finish(split: u32, tile_row: u32, tile_channel: u32, local_ix: u32, s: Sums) {
    let own_row = first_row(local_ix);
    let own_column = first_column(local_ix);
    let row = tile_row + own_row;
    let column = tile_channel + own_column;
    let upper_left = store_half(split, row, column, s.upper_left);
    let upper_right = store_half(split, row, column + 32u, s.upper_right);
    let lower_left = store_half(split, row + 4u, column, s.lower_left);
    let lower_right = store_half(split, row + 4u, column + 32u, s.lower_right);
    put(own_row, own_column, merge(upper_left, lower_left, row, 4u));
    put(own_row, own_column + 32u, merge(upper_right, lower_right, row, 4u));
    merge_workgroup(tile_row, tile_channel, local_ix);
}
