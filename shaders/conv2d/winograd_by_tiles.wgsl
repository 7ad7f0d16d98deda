// The import `layout` of transformed tiles [PARTS, 16, PART_ROWS, CHANNELS]: the channels of a tile are contiguous.

const CHANNELS: u32 = 4u;
const VECTORS: u32 = CHANNELS / 4u;
const TRANSFORMED_BINDING: u32 = 1u;

@group(0) @binding(TRANSFORMED_BINDING) var<storage, read_write> transformed: array<vec4<f32>>;

// Returns the row of the matrices that an invocation computes; `channel_of` returns the first of its four channels.
fn row_of(ix: u32) -> u32 {
    return ix / VECTORS;
}

fn channel_of(ix: u32) -> u32 {
    return ix % VECTORS * 4u;
}

// Stores four channels of a row of the matrix of a position.
fn store(row: u32, channel: u32, position: u32, values: vec4<f32>) {
    let matrix = row / PART_ROWS * 16u + position;
    transformed[(matrix * PART_ROWS + row % PART_ROWS) * VECTORS + channel / 4u] = values;
}
