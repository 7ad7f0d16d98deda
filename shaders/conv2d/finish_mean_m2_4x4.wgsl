// The import `finish` of conv2d/forward_tile with tiles of 64 x 64, for a convolution followed by a batch norm. Stores
// the elements of the product in the workgroup's tile, and mean and M2 of the tile's 64 rows, which are one partition.

// #import conv2d/merge_workgroup

// An invocation merges mean and M2 of this number of rows by itself. Then the workgroup merges the results of its
// invocations.
const OWN_ROWS: u32 = 4u;

fn finish(split: u32, tile_row: u32, tile_channel: u32, local_ix: u32, s: Sums) {
    let row = first_row(local_ix);
    let column = first_column(local_ix);
    put(row, column, store_rows(split, tile_row + row, tile_channel + column, s.s0, s.s1, s.s2, s.s3));
    merge_workgroup(tile_row, tile_channel, local_ix);
}
