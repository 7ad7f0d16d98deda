// Mean and M2 of four channels of the convolution's result, for the batch norm after the convolution. M2 is the sum of
// squared deviations from the mean.
//
// A partition is PARTITION_ROWS rows of the product. Rows are merged pairwise, in a binary tree: two rows, then two
// pairs, and so on, by the formula of Chan, Golub and LeVeque (1979):
//
//   delta = mean_b - mean_a,  n = n_a + n_b
//   mean  = mean_a + delta n_b / n
//   M2    = M2_a + M2_b + delta^2 n_a n_b / n
//
// The kernels with every kind of tile merge in the same tree, so all give the same bits. They differ only in the part
// that merges a level of the tree: an invocation, the workgroup, or another kernel. src/ops/conv2d/mean_m2.rs has the
// same PARTITION_ROWS and TILE_ROWS.

const PARTITION_ROWS: u32 = 64u;
// The number of rows of a register tile, which one invocation computes.
const TILE_ROWS: u32 = 8u;

struct MeanM2 {
    mean: vec4<f32>,
    m2: vec4<f32>,
}

// Returns mean and M2 of one pixel.
fn mean_m2_of(values: vec4<f32>) -> MeanM2 {
    return MeanM2(values, vec4<f32>());
}

// Returns mean and M2 of 2n rows: `a` is of the `n` rows from `row` on, `b` of the next `n` rows.
fn merge(a: MeanM2, b: MeanM2, row: u32, n: u32) -> MeanM2 {
    let n_a = f32(n / ROWS_PER_PIXEL);
    // n_b / (n_a + n_b)
    var share = 0.5;
    // Only the last partition may have fewer than PARTITION_ROWS rows. There `b` may have fewer pixels than `a`, or no
    // pixel. If `b` has a pixel, `a` is complete.
    if N_ROWS % PARTITION_ROWS > 0u {
        let n_b = f32(min(n, N_ROWS - min(row + n, N_ROWS)) / ROWS_PER_PIXEL);
        if n_b == 0.0 {
            return a;
        }
        share = n_b / (n_a + n_b);
    }
    let delta = b.mean - a.mean;
    // The sum adds M2_a to the product first, and then M2_b. Mesa's compiler changes (M2_a + M2_b) + product into this
    // order, but only in the kernels where it sees all three terms. With (M2_a + M2_b) + product here, the kernels
    // would give different bits.
    return MeanM2(
        fma(delta, vec4<f32>(share), a.mean),
        fma(delta * delta, vec4<f32>(n_a * share), a.m2) + b.m2,
    );
}
