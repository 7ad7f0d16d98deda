// The moments of the PIECE_ROWS of an invocation: an eighth of a slab, which conv2d/merge_pieces puts together.

// #import conv2d/store_moments

fn keep(row: u32, channel: u32, values: Moments) {
    if row < N_ROWS {
        store_moments(row / PIECE_ROWS, channel, values);
    }
}
