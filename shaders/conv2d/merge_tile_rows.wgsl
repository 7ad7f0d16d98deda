// Merges mean and M2 of register tiles, TILE_ROWS rows each, into those of partitions: the upper three levels of the
// tree in conv2d/mean_m2.
//
// One invocation merges four channels of one partition. The sizes are numbers and not constants, so all convolutions of a
// network share a pipeline. src/ops/conv2d/mean_m2.rs launches this kernel.

// #import shared/linear_index
// #import conv2d/mean_m2
// #import conv2d/store_mean_m2
// #import trip_count

// The number of rows of the product for each pixel of the output: 4 with a fused 2x2 pool, otherwise 1.
const ROWS_PER_PIXEL: u32 = 1u;

// [tiles, 2, OUT_CHANNELS]: means, then M2.
@group(0) @binding(0) var<storage, read> tiles: array<f32>;
// The number of rows of the product, and of channels. The names are those of the constants in the product's kernel.
@group(0) @binding(2) var<uniform> N_ROWS: u32;
@group(0) @binding(3) var<uniform> OUT_CHANNELS: u32;

// Returns four channels of a row of `tiles`. A channel past the last gives the last channel.
fn load_four(row: u32, channel: u32) -> vec4<f32> {
    let channels = min(channel + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(OUT_CHANNELS - 1u));
    let ix = row * OUT_CHANNELS + channels;
    return vec4<f32>(tiles[ix.x], tiles[ix.y], tiles[ix.z], tiles[ix.w]);
}

// Returns mean and M2 of the tile from `row` on. A row past the last tile gives the last tile, and `merge` counts no
// pixels for it.
fn load_tile(row: u32, channel: u32) -> MeanM2 {
    let mean_row = 2u * min(row / TILE_ROWS, (N_ROWS - 1u) / TILE_ROWS);
    return MeanM2(load_four(mean_row, channel), load_four(mean_row + 1u, channel));
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let ix = linear_index(workgroup, n_workgroups, local_ix);
    let n_vectors = (OUT_CHANNELS + 3u) / 4u;
    if ix >= (N_ROWS + PARTITION_ROWS - 1u) / PARTITION_ROWS * n_vectors {
        return;
    }
    let partition_ix = ix / n_vectors;
    let first = partition_ix * PARTITION_ROWS;
    let channel = ix % n_vectors * 4u;
    var upper: MeanM2;
    var lower: MeanM2;
    // An iteration merges two tiles, a quarter of the partition. The first quarter of each half moves `lower` to
    // `upper` and becomes `lower`; the second quarter completes the half in `lower`.
    let n_quarters = trip_count(4u, n_workgroups);
    for (var i = 0u; i < n_quarters; i++) {
        let row = first + 2u * TILE_ROWS * i;
        let quarter = merge(
            load_tile(row, channel),
            load_tile(row + TILE_ROWS, channel),
            row,
            TILE_ROWS,
        );
        if i % 2u == 0u {
            upper = lower;
            lower = quarter;
        } else {
            lower = merge(lower, quarter, row - 2u * TILE_ROWS, 2u * TILE_ROWS);
        }
    }
    store_mean_m2(partition_ix, channel, merge(upper, lower, first, 4u * TILE_ROWS));
}
