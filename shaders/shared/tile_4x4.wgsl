// The import `tile` of a matrix product: a workgroup (256 invocations) computes 64 x 64 results, an invocation 4 x 4.
//
// In each step, the workgroup multiplies 16 terms of every sum from workgroup memory, and loads the next 16. `left` and
// `right` have two buffers each, so one barrier per step is enough.

const TILE: u32 = 64u;
const STEP: u32 = 16u;

// Shapes, counted in vec4s: left is [2, TILE, STEP / 4] or [2, STEP, TILE / 4], as the importing kernel chooses; right
// is [2, STEP, TILE / 4].
var<workgroup> left: array<vec4<f32>, 512>;
var<workgroup> right: array<vec4<f32>, 512>;

// The sums of an invocation: four rows x four columns, a vec4 for each row.
struct Sums {
    s0: vec4<f32>,
    s1: vec4<f32>,
    s2: vec4<f32>,
    s3: vec4<f32>,
}

fn zero_sums() -> Sums {
    return Sums(vec4<f32>(), vec4<f32>(), vec4<f32>(), vec4<f32>());
}

// Returns the first row of an invocation; `first_column` returns its first column. Each group of 32 consecutive
// invocations covers 16 rows x 32 columns. Each group of eight reads the same rows and neighbouring columns.
fn first_row(local_ix: u32) -> u32 {
    return local_ix / 64u * 16u + local_ix % 32u / 8u * 4u;
}

fn first_column(local_ix: u32) -> u32 {
    return local_ix / 32u % 2u * 32u + local_ix % 8u * 4u;
}

fn multiply_add(sum: vec4<f32>, factor: f32, w: vec4<f32>) -> vec4<f32> {
    return fma(vec4<f32>(factor), w, sum);
}

// Adds the STEP terms of one step to every sum. This function is for a `left` whose vec4s hold four terms of one row.
fn add_terms(sums: Sums, buffer: u32, row: u32, column: u32) -> Sums {
    var s = sums;
    for (var k = 0u; k < STEP; k += 4u) {
        let at = ((buffer * TILE + row) * STEP + k) / 4u;
        let x0 = left[at];
        let x1 = left[at + STEP / 4u];
        let x2 = left[at + STEP / 2u];
        let x3 = left[at + STEP / 4u * 3u];
        let start = ((buffer * STEP + k) * TILE + column) / 4u;
        let w0 = right[start];
        let w1 = right[start + TILE / 4u];
        let w2 = right[start + TILE / 2u];
        let w3 = right[start + TILE / 4u * 3u];
        s = add_outer(s, vec4<f32>(x0.x, x1.x, x2.x, x3.x), w0);
        s = add_outer(s, vec4<f32>(x0.y, x1.y, x2.y, x3.y), w1);
        s = add_outer(s, vec4<f32>(x0.z, x1.z, x2.z, x3.z), w2);
        s = add_outer(s, vec4<f32>(x0.w, x1.w, x2.w, x3.w), w3);
    }
    return s;
}

// Adds the STEP terms of one step to every sum. This function is for a `left` whose vec4s hold one term of four rows.
fn add_rows(sums: Sums, buffer: u32, row: u32, column: u32) -> Sums {
    var s = sums;
    for (var k = 0u; k < STEP; k++) {
        let start = (buffer * STEP + k) * TILE;
        s = add_outer(s, left[(start + row) / 4u], right[(start + column) / 4u]);
    }
    return s;
}

fn add_outer(s: Sums, x: vec4<f32>, w: vec4<f32>) -> Sums {
    return Sums(
        multiply_add(s.s0, x.x, w),
        multiply_add(s.s1, x.y, w),
        multiply_add(s.s2, x.z, w),
        multiply_add(s.s3, x.w, w),
    );
}

// Passes the sums to the function `store_rows` of the kernel, four rows of four columns at a time.
fn store_sums(split: u32, row: u32, column: u32, s: Sums) {
    store_rows(split, row, column, s.s0, s.s1, s.s2, s.s3);
}
