// resized[n, c] = the box (top, left, height, width) of picture n, resized to HEIGHT x WIDTH with a triangle filter
//
//   pixels: picture n begins at byte n * PICTURE_BYTES, with CHANNELS planes of sizes[n] = (rows, columns) bytes
//   boxes [IMAGES, 4],  resized [IMAGES, CHANNELS, HEIGHT, WIDTH] bytes, four to a word
//
// The filter is as wide as an output pixel, or as an input pixel if these are larger. An output byte is a weighted mean
// of weighted means of rows, in integers: docs/ops/random_resized_crop.md has the bounds that keep sums in 32 bits.
//
// One invocation computes the four bytes of one word. Grid: one axis of words, folded into two (see
// shared/linear_index). Launched by src/ops/random_resized_crop/resize.rs.

// #import shared/linear_index

const IMAGES: u32 = 1u;
const CHANNELS: u32 = 3u;
const HEIGHT: u32 = 32u;
const WIDTH: u32 = 32u;
const PICTURE_BYTES: u32 = 3072u;

@group(0) @binding(0) var<storage, read> pixels: array<u32>;
@group(0) @binding(1) var<storage, read> sizes: array<u32>;
@group(0) @binding(2) var<storage, read> boxes: array<u32>;
@group(0) @binding(3) var<storage, read_write> resized: array<u32>;

// The filter of one output position along one axis: `length` input positions become `n_outputs`.
struct Filter {
    length: u32,
    n_outputs: u32,
    centre: u32,  // the middle of the output position, in units of half an input position divided by n_outputs
    reach: u32,   // the distance from the centre at which weights become 0, in the same unit
    first: u32,   // the first input position
    end: u32,     // the position after the last one
    total: u32,   // the sum of the weights
}

fn weight(filter_of: Filter, ix: u32) -> u32 {
    let distance = abs(i32((2u * ix + 1u) * filter_of.n_outputs) - i32(filter_of.centre));
    return u32(max(i32(filter_of.reach) - distance, 0));
}

fn filter_at(position: u32, length: u32, n_outputs: u32) -> Filter {
    var result: Filter;
    result.length = length;
    result.n_outputs = n_outputs;
    result.centre = (2u * position + 1u) * length;
    result.reach = 2u * max(length, n_outputs);
    // Both ends may include a position with the weight 0.
    let before = result.reach + n_outputs;
    result.first = (max(result.centre, before) - before) / (2u * n_outputs);
    result.end = min((result.centre + result.reach + n_outputs) / (2u * n_outputs), length);
    for (var ix = result.first; ix < result.end; ix++) {
        result.total += weight(result, ix);
    }
    return result;
}

// Returns the mean of a row's pixels with the weights of a filter, in units of 1 / 2^8. The row begins at byte `start`.
fn row_mean(start: u32, columns: Filter) -> u32 {
    var sum = 0u;
    for (var ix = columns.first; ix < columns.end; ix++) {
        let at = start + ix;
        sum += weight(columns, ix) * ((pixels[at / 4u] >> (8u * (at % 4u))) & 0xffu);
    }
    let whole = sum / columns.total;
    let rest = sum - whole * columns.total;
    return (whole << 8u) + ((rest << 8u) + columns.total / 2u) / columns.total;
}

// Returns the output byte with this index.
fn output_byte(ix: u32) -> u32 {
    let image = ix / (CHANNELS * HEIGHT * WIDTH);
    let channel = ix / (HEIGHT * WIDTH) % CHANNELS;
    let rows_of_picture = sizes[2u * image];
    let columns_of_picture = sizes[2u * image + 1u];
    let top = channel * rows_of_picture + boxes[4u * image];
    let start = image * PICTURE_BYTES + top * columns_of_picture + boxes[4u * image + 1u];
    let rows = filter_at(ix / WIDTH % HEIGHT, boxes[4u * image + 2u], HEIGHT);
    let columns = filter_at(ix % WIDTH, boxes[4u * image + 3u], WIDTH);
    // A weight times a mean in units of 1 / 2^8 may exceed 32 bits, so the whole numbers and the fractions have sums of
    // their own.
    var sum = 0u;
    var sum_of_fractions = 0u;
    for (var row = rows.first; row < rows.end; row++) {
        let mean = row_mean(start + row * columns_of_picture, columns);
        sum += weight(rows, row) * (mean >> 8u);
        sum_of_fractions += weight(rows, row) * (mean & 0xffu);
    }
    let whole = sum / rows.total;
    let rest = ((sum - whole * rows.total) << 8u) + sum_of_fractions;
    return whole + ((rest + rows.total / 2u) / rows.total + 128u) / 256u;
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let word = linear_index(workgroup, n_workgroups, local_ix);
    let n_bytes = IMAGES * CHANNELS * HEIGHT * WIDTH;
    if 4u * word < n_bytes {
        var packed = 0u;
        for (var i = 0u; i < 4u && 4u * word + i < n_bytes; i++) {
            packed |= output_byte(4u * word + i) << (8u * i);
        }
        resized[word] = packed;
    }
}
