// A matrix product in register tiles. The pipeline sets the strides, so this shader computes all three
// products of a linear layer:
//
//   out[r, c] = bias[c] + sum over k of left[r * LEFT_ROW + k * LEFT_K] * right[k * RIGHT_K + c * RIGHT_COLUMN]
//
//   forward   y        [rows, out]  = x [rows, in]      . weight [in, out] + bias
//   d_input   d_x      [rows, in]   = d_y [rows, out]   . weight transposed
//   d_weight  d_weight [in, out]    = x transposed      . d_y [rows, out]
//
// One invocation computes 4 x 4 elements of out: it reads 8 numbers for 16 multiply-adds, where the naive kernels read
// 32. All invocations of a workgroup read the same columns of `right`, so most of these reads hit the cache. The sum
// runs over k in the order of the naive kernels. Grid: x and y count tiles of 4 rows (one axis, folded into two), z
// counts tiles of 4 columns. Launched by src/ops/linear.rs.

// #import shared/linear_index
// #import trip_count
// #import bias

const OUT_ROWS: u32 = 1u;
const OUT_COLUMNS: u32 = 1u;
const DEPTH: u32 = 1u;
const LEFT_ROW: u32 = 1u;
const LEFT_K: u32 = 1u;
const RIGHT_K: u32 = 1u;
const RIGHT_COLUMN: u32 = 1u;

@group(0) @binding(0) var<storage, read> left: array<f32>;
@group(0) @binding(1) var<storage, read> right: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

// Returns the indices of four neighbouring rows or columns. An index of `n` or more is replaced by n - 1; its result is
// not stored.
fn four(first: u32, n: u32) -> vec4<u32> {
    return min(first + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(n - 1u));
}

fn store_row(row: u32, column: u32, sums: vec4<f32>) {
    if row >= OUT_ROWS {
        return;
    }
    let start = row * OUT_COLUMNS;
    if column < OUT_COLUMNS { out[start + column] = sums.x + bias_of(column); }
    if column + 1u < OUT_COLUMNS { out[start + column + 1u] = sums.y + bias_of(column + 1u); }
    if column + 2u < OUT_COLUMNS { out[start + column + 2u] = sums.z + bias_of(column + 2u); }
    if column + 3u < OUT_COLUMNS { out[start + column + 3u] = sums.w + bias_of(column + 3u); }
}

@compute @workgroup_size(WORKGROUP_SIZE)
fn main(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) n_workgroups: vec3<u32>,
    @builtin(local_invocation_index) local_ix: u32,
) {
    let row = linear_index(workgroup, n_workgroups, local_ix) * 4u;
    if row >= OUT_ROWS {
        return;
    }
    let column = workgroup.z * 4u;
    let left_at = four(row, OUT_ROWS) * LEFT_ROW;
    let right_at = four(column, OUT_COLUMNS) * RIGHT_COLUMN;
    var sum0 = vec4<f32>();
    var sum1 = vec4<f32>();
    var sum2 = vec4<f32>();
    var sum3 = vec4<f32>();
    let depth = trip_count(DEPTH, n_workgroups);
    for (var k = 0u; k < depth; k++) {
        let r = right_at + vec4<u32>(k * RIGHT_K);
        let right4 = vec4<f32>(right[r.x], right[r.y], right[r.z], right[r.w]);
        let l = left_at + vec4<u32>(k * LEFT_K);
        sum0 += left[l.x] * right4;
        sum1 += left[l.y] * right4;
        sum2 += left[l.z] * right4;
        sum3 += left[l.w] * right4;
    }
    store_row(row, column, sum0);
    store_row(row + 1u, column, sum1);
    store_row(row + 2u, column, sum2);
    store_row(row + 3u, column, sum3);
}
