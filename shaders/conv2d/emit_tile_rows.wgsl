// The import `emit` of conv2d/forward that stores mean and M2 of a register tile of TILE_ROWS rows, an eighth of a
// partition. conv2d/merge_tile_rows merges the tiles of each partition.

// #import conv2d/store_mean_m2

fn emit(row: u32, channel: u32, values: MeanM2) {
    if row < N_ROWS {
        store_mean_m2(row / TILE_ROWS, channel, values);
    }
}
