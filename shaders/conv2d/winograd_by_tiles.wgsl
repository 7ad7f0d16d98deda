// The import `layout` of transformed tiles [PARTS, 16, PART_ROWS, CHANNELS]: the channels of a tile are contiguous.

const CHANNELS: u32 = 4u;
const TRANSFORMED_BINDING: u32 = 1u;

@group(0) @binding(TRANSFORMED_BINDING) var<storage, read_write> transformed: array<f32>;

// Returns the row of the matrices that an invocation computes; `channel_of` returns its channel.
fn row_of(ix: u32) -> u32 {
    return ix / CHANNELS;
}

fn channel_of(ix: u32) -> u32 {
    return ix % CHANNELS;
}

// Stores row i of a transformed tile, four positions (i, j), in the matrices of these positions.
fn store_row(row: u32, channel: u32, i: u32, values: vec4<f32>) {
    let size = PART_ROWS * CHANNELS;
    let matrix = row / PART_ROWS * 16u + 4u * i;
    let ix = matrix * size + row % PART_ROWS * CHANNELS + channel;
    transformed[ix] = values.x;
    transformed[ix + size] = values.y;
    transformed[ix + 2u * size] = values.z;
    transformed[ix + 3u * size] = values.w;
}
