// Merges mean and M2 of the rows of each invocation into mean and M2 of the workgroup's partitions, 64 rows each. These
// merges are the upper levels of the tree in conv2d/mean_m2. When they begin, the workgroup has computed its tile of
// the product and does not need the operands in workgroup memory any more. So this memory is reused: `left` for means,
// `right` for M2.

// #import conv2d/store_mean_m2

// Stores mean and M2 of OWN_ROWS rows and four columns in workgroup memory. `row` and `column` are the first of these
// rows and columns, counted from the first of the workgroup's tile.
fn put(row: u32, column: u32, values: MeanM2) {
    let at = place(row, column / 4u);
    left[at] = values.mean;
    right[at] = values.m2;
}

fn place(row: u32, vector: u32) -> u32 {
    return row / OWN_ROWS * TERM_VECTORS + vector;
}

fn merge_workgroup(tile_row: u32, tile_channel: u32, local_ix: u32) {
    let pair = local_ix / TERM_VECTORS;
    let vector = local_ix % TERM_VECTORS;
    for (var n = OWN_ROWS; n < PARTITION_ROWS; n *= 2u) {
        workgroupBarrier();
        let row = pair * 2u * n;
        if row < TILE {
            let a = place(row, vector);
            let b = place(row + n, vector);
            let both = merge(
                MeanM2(left[a], right[a]),
                MeanM2(left[b], right[b]),
                tile_row + row,
                n,
            );
            left[a] = both.mean;
            right[a] = both.m2;
        }
    }
    // The invocation that has merged the two halves of a partition stores mean and M2 of the partition.
    let row = pair * PARTITION_ROWS;
    if row < TILE && tile_row + row < N_ROWS {
        let at = place(row, vector);
        let number = (tile_row + row) / PARTITION_ROWS;
        store_mean_m2(number, tile_channel + vector * 4u, MeanM2(left[at], right[at]));
    }
}
