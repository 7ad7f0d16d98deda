// The import `finish` of conv2d/forward_tile where no batch norm reads mean and M2: stores the elements of the product
// in the workgroup's tile.

fn finish(split: u32, tile_row: u32, tile_channel: u32, local_ix: u32, sums: Sums) {
    store_sums(split, tile_row + first_row(local_ix), tile_channel + first_column(local_ix), sums);
}
