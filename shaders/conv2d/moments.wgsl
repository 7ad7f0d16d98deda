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

struct Moments {
    mean: vec4<f32>,
    m2: vec4<f32>,
}

// Of a single pixel.
fn moments_of(values: vec4<f32>) -> Moments {
    return Moments(values, vec4<f32>());
}

// Pixels in `n` rows from `row` on. Where the last slab is whole a compiler knows how many, and what follows from it.
fn n_pixels(row: u32, n: u32) -> f32 {
    let n_there = min(n, N_ROWS - min(row, N_ROWS));
    return f32(select(n_there, n, N_ROWS % SLAB_ROWS == 0u) / ROWS_PER_PIXEL);
}

// `a` is of `n` rows from `row` on, and `b` of the `n` behind them.
fn merge(a: Moments, b: Moments, row: u32, n: u32) -> Moments {
    let n_b = n_pixels(row + n, n);
    if n_b == 0.0 {
        return a;
    }
    let n_a = n_pixels(row, n);
    let share = n_b / (n_a + n_b);
    let delta = b.mean - a.mean;
    // In this order: Mesa's compiler, for one, takes a sum of two products and something else apart, and m2 may be both.
    return Moments(
        fma(delta, vec4<f32>(share), a.mean),
        fma(delta * delta, vec4<f32>(n_a * share), a.m2) + b.m2,
    );
}
