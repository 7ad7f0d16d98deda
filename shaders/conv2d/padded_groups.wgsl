// A tensor whose groups of channels are padded with zeros, to a multiple of four:
//
//   exact [outer, ROWS, GROUPS, COLUMNS],  padded [outer, PADDED_ROWS, GROUPS, PADDED_COLUMNS]
//
// The channels of pixels are columns, with one row; the weight has input channels as rows and output channels as columns.
// pad_groups.wgsl and unpad_groups.wgsl copy one to the other. An invocation copies four columns of `padded`. The sizes
// are constants, because a division by another number takes most of the time on a software adapter.

// #import shared/linear_index

const GROUPS: u32 = 1u;
const ROWS: u32 = 1u;
const COLUMNS: u32 = 4u;
const PADDED_ROWS: u32 = 1u;
const PADDED_COLUMNS: u32 = 4u;

const VECTORS: u32 = PADDED_COLUMNS / 4u;

// Returns the index in `exact` of the first of four columns, and how many of them are not padding. `vector` is the
// number of the four columns in `padded`.
fn exact_of(vector: u32) -> vec2<u32> {
    let column = vector % VECTORS * 4u;
    let group = vector / VECTORS % GROUPS;
    let row = vector / (VECTORS * GROUPS) % PADDED_ROWS;
    let outer = vector / (VECTORS * GROUPS * PADDED_ROWS);
    let ix = ((outer * ROWS + row) * GROUPS + group) * COLUMNS + column;
    return vec2<u32>(ix, select(0u, max(COLUMNS, column) - column, row < ROWS));
}
