// The import `finish` of a tile without mean and M2: stores the sums of the tile.

fn finish(split: u32, tile_row: u32, tile_channel: u32, local_ix: u32, sums: Sums) {
    store_sums(split, tile_row + first_row(local_ix), tile_channel + first_column(local_ix), sums);
}
