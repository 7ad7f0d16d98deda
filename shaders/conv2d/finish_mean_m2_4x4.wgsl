// The import `finish` of a tile of 64 x 64, for a batch norm behind it: stores the sums of the tile, and mean and M2 of
// its partition.

// #import conv2d/merge_workgroup

// The number of rows whose mean and M2 an invocation merges alone, before the workgroup merges the rest.
const OWN_ROWS: u32 = 4u;

fn finish(split: u32, tile_row: u32, tile_channel: u32, local_ix: u32, s: Sums) {
    let row = first_row(local_ix);
    let column = first_column(local_ix);
    put(row, column, store_rows(split, tile_row + row, tile_channel + column, s.s0, s.s1, s.s2, s.s3));
    merge_workgroup(tile_row, tile_channel, local_ix);
}
