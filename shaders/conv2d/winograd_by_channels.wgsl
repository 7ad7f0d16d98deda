// The import `layout` of transformed tiles [PARTS, 16, CHANNELS, PART_ROWS]: the tiles of a channel are contiguous. The
// products of the gradient of the weight sum over the tiles, and read four terms of a sum as one vector.
//
// Sixteen neighbouring invocations transform the same channels of sixteen tiles, so their stores are contiguous, and the
// next invocations transform the next channels of the same tiles.

const CHANNELS: u32 = 4u;
const VECTORS: u32 = (CHANNELS + 3u) / 4u;
const TRANSFORMED_BINDING: u32 = 1u;
// The number of neighbouring invocations with the same channels.
const NEIGHBOURS: u32 = 16u;

@group(0) @binding(TRANSFORMED_BINDING) var<storage, read_write> transformed: array<f32>;

// Returns the row of the matrices that an invocation computes; `channel_of` returns the first of its four channels.
fn row_of(ix: u32) -> u32 {
    return ix / (VECTORS * NEIGHBOURS) * NEIGHBOURS + ix % NEIGHBOURS;
}

fn channel_of(ix: u32) -> u32 {
    return ix / NEIGHBOURS % VECTORS * 4u;
}

// Stores four channels of a tile in the matrix of a position. Channels past the last are dropped.
fn store(row: u32, channel: u32, position: u32, values: vec4<f32>) {
    let matrix = row / PART_ROWS * 16u + position;
    let ix = (matrix * CHANNELS + channel) * PART_ROWS + row % PART_ROWS;
    transformed[ix] = values.x;
    if channel + 1u < CHANNELS { transformed[ix + PART_ROWS] = values.y; }
    if channel + 2u < CHANNELS { transformed[ix + 2u * PART_ROWS] = values.z; }
    if channel + 3u < CHANNELS { transformed[ix + 3u * PART_ROWS] = values.w; }
}
