// The import `layout` of transformed tiles [PARTS, 16, CHANNELS, PART_ROWS]: the tiles of a channel are contiguous. The
// products of the gradient of the weight sum over the tiles, and read four terms of a sum as one vector.
//
// Sixteen neighbouring invocations transform the same channel of sixteen tiles, so their stores are contiguous. The next
// invocations transform the next channel of the same tiles, so their reads stay in the cache.

const CHANNELS: u32 = 4u;
const TRANSFORMED_BINDING: u32 = 1u;
// The number of neighbouring invocations with the same channel; src/ops/conv2d/winograd_launch.rs has the same number.
const NEIGHBOURS: u32 = 16u;

@group(0) @binding(TRANSFORMED_BINDING) var<storage, read_write> transformed: array<f32>;

// Returns the row of the matrices that an invocation computes; `channel_of` returns its channel.
fn row_of(ix: u32) -> u32 {
    return ix / (CHANNELS * NEIGHBOURS) * NEIGHBOURS + ix % NEIGHBOURS;
}

fn channel_of(ix: u32) -> u32 {
    return ix / NEIGHBOURS % CHANNELS;
}

// Stores row i of a transformed tile, four positions (i, j), in the matrices of these positions.
fn store_row(row: u32, channel: u32, i: u32, values: vec4<f32>) {
    let size = CHANNELS * PART_ROWS;
    let matrix = row / PART_ROWS * 16u + 4u * i;
    let ix = matrix * size + channel * PART_ROWS + row % PART_ROWS;
    transformed[ix] = values.x;
    transformed[ix + size] = values.y;
    transformed[ix + 2u * size] = values.z;
    transformed[ix + 3u * size] = values.w;
}
