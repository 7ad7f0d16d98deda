// What a batch norm behind a convolution wants to know of the pixels that are made, four channels at a time: the
// mean, and the sum of squared deviations from it, over slabs of SLAB_ROWS rows of the product.
//
// A slab is a binary tree: rows are merged two by two, then these, and so on (Chan, Golub and LeVeque 1979):
//
//   n = n_a + n_b,  delta = mean_b - mean_a,
//   mean = mean_a + delta n_b / n,  m2 = m2_a + m2_b + delta^2 n_a n_b / n
//
// So every tile makes the same bits, however much of the tree is an invocation's, a workgroup's, or another kernel's.

const SLAB_ROWS: u32 = 64u;
// What an invocation of a register tile makes of a slab.
const PIECE_ROWS: u32 = 8u;

struct Moments {
    mean: vec4<f32>,
    m2: vec4<f32>,
}

// Of a single pixel.
fn moments_of(values: vec4<f32>) -> Moments {
    return Moments(values, vec4<f32>());
}

// `a` is of `n` rows from `row` on, and `b` of the `n` behind them.
fn merge(a: Moments, b: Moments, row: u32, n: u32) -> Moments {
    let n_a = f32(n / ROWS_PER_PIXEL);
    var share = 0.5;
    // The last slab may be short. `b` may then have fewer pixels, or none; before it has any, `a` has all.
    if N_ROWS % SLAB_ROWS > 0u {
        let n_b = f32(min(n, N_ROWS - min(row + n, N_ROWS)) / ROWS_PER_PIXEL);
        if n_b == 0.0 {
            return a;
        }
        share = n_b / (n_a + n_b);
    }
    let delta = b.mean - a.mean;
    // The sum of the two m2 is not taken first: where both are products, Mesa's compiler would turn (m2 + m2) + product
    // into (m2 + product) + m2, in those kernels where it sees all three, and the bits with it.
    return Moments(
        fma(delta, vec4<f32>(share), a.mean),
        fma(delta * delta, vec4<f32>(n_a * share), a.m2) + b.m2,
    );
}
