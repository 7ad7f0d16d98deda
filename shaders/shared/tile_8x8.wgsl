// The import `tile` of a matrix product: a workgroup (256 invocations) computes 128 x 128 results, an invocation 8 x 8.
//
// In each step, the workgroup multiplies 8 terms of every sum from workgroup memory, and loads the next 8. `left` and
// `right` have two buffers each, so one barrier per step is enough.

const TILE: u32 = 128u;
const STEP: u32 = 8u;

// Shapes, counted in vec4s: left is [2, TILE, STEP / 4] or [2, STEP, TILE / 4], as the importing kernel chooses; right
// is [2, STEP, TILE / 4].
var<workgroup> left: array<vec4<f32>, 512>;
var<workgroup> right: array<vec4<f32>, 512>;

// The sums of four rows x four columns, a vec4 for each row.
struct Block {
    s0: vec4<f32>,
    s1: vec4<f32>,
    s2: vec4<f32>,
    s3: vec4<f32>,
}

// The sums of an invocation, 8 rows x 8 columns in four blocks. Counted from the invocation's first row and column,
// these are the rows 0 to 3 and 4 to 7, and the columns 0 to 3 and 32 to 35.
struct Sums {
    upper_left: Block,
    upper_right: Block,
    lower_left: Block,
    lower_right: Block,
}

fn zero_sums() -> Sums {
    let zeros = Block(vec4<f32>(), vec4<f32>(), vec4<f32>(), vec4<f32>());
    return Sums(zeros, zeros, zeros, zeros);
}

// Returns the first row of an invocation; `first_column` returns its first column. Each group of 32 consecutive
// invocations covers 32 rows x 64 columns. Each group of eight reads the same rows and neighbouring columns.
fn first_row(local_ix: u32) -> u32 {
    return local_ix / 64u * 32u + local_ix % 32u / 8u * 8u;
}

fn first_column(local_ix: u32) -> u32 {
    return local_ix / 32u % 2u * 64u + local_ix % 8u * 4u;
}

fn multiply_add(sum: vec4<f32>, factor: f32, w: vec4<f32>) -> vec4<f32> {
    return fma(vec4<f32>(factor), w, sum);
}

fn add_block(s: Block, x: vec4<f32>, w: vec4<f32>) -> Block {
    return Block(
        multiply_add(s.s0, x.x, w),
        multiply_add(s.s1, x.y, w),
        multiply_add(s.s2, x.z, w),
        multiply_add(s.s3, x.w, w),
    );
}

// Adds one term to every sum. `upper` and `lower` are the left operand of rows 0 to 3 and 4 to 7; the right operand
// begins at `right[start]`.
fn add_outer(s: Sums, upper: vec4<f32>, lower: vec4<f32>, start: u32) -> Sums {
    let w_left = right[start];
    let w_right = right[start + 8u];
    return Sums(
        add_block(s.upper_left, upper, w_left),
        add_block(s.upper_right, upper, w_right),
        add_block(s.lower_left, lower, w_left),
        add_block(s.lower_right, lower, w_right),
    );
}

// Adds the STEP terms of one step to every sum. This function is for a `left` whose vec4s hold four terms of one row.
fn add_terms(sums: Sums, buffer: u32, row: u32, column: u32) -> Sums {
    var s = sums;
    for (var k = 0u; k < STEP; k += 4u) {
        let at = ((buffer * TILE + row) * STEP + k) / 4u;
        let x0 = left[at];
        let x1 = left[at + 2u];
        let x2 = left[at + 4u];
        let x3 = left[at + 6u];
        let x4 = left[at + 8u];
        let x5 = left[at + 10u];
        let x6 = left[at + 12u];
        let x7 = left[at + 14u];
        let start = ((buffer * STEP + k) * TILE + column) / 4u;
        let row4 = TILE / 4u;
        s = add_outer(s, vec4(x0.x, x1.x, x2.x, x3.x), vec4(x4.x, x5.x, x6.x, x7.x), start);
        s = add_outer(s, vec4(x0.y, x1.y, x2.y, x3.y), vec4(x4.y, x5.y, x6.y, x7.y), start + row4);
        s = add_outer(s, vec4(x0.z, x1.z, x2.z, x3.z), vec4(x4.z, x5.z, x6.z, x7.z), start + 2u * row4);
        s = add_outer(s, vec4(x0.w, x1.w, x2.w, x3.w), vec4(x4.w, x5.w, x6.w, x7.w), start + 3u * row4);
    }
    return s;
}

// Adds the STEP terms of one step to every sum. This function is for a `left` whose vec4s hold one term of four rows.
fn add_rows(sums: Sums, buffer: u32, row: u32, column: u32) -> Sums {
    var s = sums;
    for (var k = 0u; k < STEP; k++) {
        let start = (buffer * STEP + k) * TILE;
        let at = (start + row) / 4u;
        s = add_outer(s, left[at], left[at + 1u], (start + column) / 4u);
    }
    return s;
}

fn store_block(split: u32, row: u32, column: u32, s: Block) {
    store_rows(split, row, column, s.s0, s.s1, s.s2, s.s3);
}

// Passes the sums to the function `store_rows` of the kernel, four rows of four columns at a time.
fn store_sums(split: u32, row: u32, column: u32, s: Sums) {
    store_block(split, row, column, s.upper_left);
    store_block(split, row, column + 32u, s.upper_right);
    store_block(split, row + 4u, column, s.lower_left);
    store_block(split, row + 4u, column + 32u, s.lower_right);
}
