// Merges mean and M2 of register tiles, TILE_ROWS rows each, into those of partitions: the upper three levels of the
// tree in conv2d/mean_m2.
//
// One invocation merges four channels of one partition. src/ops/conv2d/mean_m2.rs launches this kernel.

// #import shared/linear_index
// #import conv2d/geometry
// #import rows
// #import conv2d/mean_m2
// #import conv2d/store_mean_m2
// #import trip_count

const OUT_H: u32 = OH;
const OUT_W: u32 = OW;
const OUT_CHANNELS: u32 = CO;
const VECTORS: u32 = (CO + 3u) / 4u;
const N_TILES: u32 = (N_ROWS + TILE_ROWS - 1u) / TILE_ROWS;
const N_PARTITIONS: u32 = (N_ROWS + PARTITION_ROWS - 1u) / PARTITION_ROWS;

// [N_TILES, 2, CO]: means, then M2.
@group(0) @binding(0) var<storage, read> tiles: array<f32>;

// Returns four channels of a row of `tiles`. A channel past the last gives the last channel.
fn load_four(row: u32, channel: u32) -> vec4<f32> {
    let ix = row * CO + min(channel + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(CO - 1u));
    return vec4<f32>(tiles[ix.x], tiles[ix.y], tiles[ix.z], tiles[ix.w]);
}

// Returns mean and M2 of the tile from `row` on. A row past the last tile gives the last tile, and `merge` counts no
// pixels for it.
fn load_tile(row: u32, channel: u32) -> MeanM2 {
    let mean_row = 2u * min(row / TILE_ROWS, N_TILES - 1u);
    return MeanM2(load_four(mean_row, channel), load_four(mean_row + 1u, channel));
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let ix = linear_index(workgroup, n_workgroups, local_ix);
    if ix >= N_PARTITIONS * VECTORS {
        return;
    }
    let partition_ix = ix / VECTORS;
    let first = partition_ix * PARTITION_ROWS;
    let channel = ix % VECTORS * 4u;
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
