//! The transforms of the kernel, and the transposed transform of its gradient.

use std::array::from_fn;
use std::ops::Range;

use crate::kernel::Real;
use crate::kernel::cpu::lanes::{LANES, lanes, rest, store, whole};
use crate::kernel::cpu::parallel::{for_each_chunk, for_each_chunk_of_three};

/// Number of pairs of channels of a task.
const CHUNK: usize = 1 << 12;
/// The order of the rows of G for the rotated kernel. The rotation exchanges the first and the last row of `G · kernel`.
const ROTATED: [usize; 4] = [3, 1, 2, 0];

/// Writes `G · kernel · Gᵀ` of every pair of channels: 16 matrices `[Ci, Co]`. The weight is `[3, 3, Ci, Co]`.
pub(super) fn transform<T: Real>(weight: &[T], kernel: &mut [T]) {
    let size = weight.len() / 9;
    for_each_chunk(kernel, 4 * size, &|i, kernel| {
        transform_pairs::<T, LANES>(whole(size), weight, i, kernel);
        transform_pairs::<T, 1>(rest(size), weight, i, kernel);
    });
}

/// Writes row `i` of the transform of some pairs of channels, `L` pairs at a time.
fn transform_pairs<T: Real, const L: usize>(
    range: Range<usize>,
    weight: &[T],
    i: usize,
    kernel: &mut [T],
) {
    let size = weight.len() / 9;
    for at in range.step_by(L) {
        for (j, made) in row::<T, L>(weight, at, i).into_iter().enumerate() {
            store(kernel, j * size + at, made);
        }
    }
}

/// Returns row `i` of `G · kernel · Gᵀ` of `L` pairs of channels, from pair number `at` on.
#[inline]
fn row<T: Real, const L: usize>(weight: &[T], at: usize, i: usize) -> [[T; L]; 4] {
    let size = weight.len() / 9;
    let column = |kx: usize| -> [T; L] {
        let column: [[T; L]; 3] = from_fn(|ky| lanes(weight, (3 * ky + kx) * size + at));
        times_g(column, i)
    };
    let columns = [column(0), column(1), column(2)];
    from_fn(|j| times_g(columns, j))
}

/// Returns the product of row `k` of G and a column.
#[inline]
fn times_g<T: Real, const L: usize>([a, b, c]: [[T; L]; 3], k: usize) -> [T; L] {
    let half = T::from_f64(0.5);
    match k {
        0 => a,
        1 => from_fn(|l| half * (a[l] + b[l] + c[l])),
        2 => from_fn(|l| half * (a[l] - b[l] + c[l])),
        _ => c,
    }
}

/// Writes the transform of the kernel that is rotated by 180°, with input and output channels exchanged: 16 matrices
/// `[Co, Ci]`.
pub(super) fn transform_rotated<T: Real>(weight: &[T], [ci, co]: [usize; 2], kernel: &mut [T]) {
    let size = ci * co;
    for_each_chunk(kernel, 4 * size, &|i, kernel| {
        let i = ROTATED[i];
        transpose::<T, LANES, LANES>(whole(ci), whole(co), weight, [ci, co], i, kernel);
        transpose::<T, LANES, 1>(whole(ci), rest(co), weight, [ci, co], i, kernel);
        transpose::<T, 1, LANES>(rest(ci), whole(co), weight, [ci, co], i, kernel);
        transpose::<T, 1, 1>(rest(ci), rest(co), weight, [ci, co], i, kernel);
    });
}

/// Writes row `i` of the transform of some pairs of channels, transposed, in blocks of M input channels and L output
/// channels.
fn transpose<T: Real, const M: usize, const L: usize>(
    inputs: Range<usize>,
    outputs: Range<usize>,
    weight: &[T],
    [ci, co]: [usize; 2],
    i: usize,
    kernel: &mut [T],
) {
    for output in outputs.step_by(L) {
        for input in inputs.clone().step_by(M) {
            let made: [[[T; L]; 4]; M] = from_fn(|m| row(weight, (input + m) * co + output, i));
            for (j, &from) in ROTATED.iter().enumerate() {
                let columns: [[T; M]; L] = from_fn(|l| from_fn(|m| made[m][from][l]));
                for (l, column) in columns.into_iter().enumerate() {
                    store(kernel, (j * co + output + l) * ci + input, column);
                }
            }
        }
    }
}

/// Writes `Gᵀ · sum · G` of every pair of channels: the gradient of the weight, `[3, 3, Ci, Co]`. `sums` has 16 matrices
/// `[Ci, Co]` for each split; the splits are added first.
pub(super) fn gradient<T: Real>(sums: &[T], d_weight: &mut [T]) {
    let size = d_weight.len() / 9;
    for_each_chunk(d_weight, 3 * size, &|ky, d_weight| {
        let (left, others) = d_weight.split_at_mut(size);
        let (middle, right) = others.split_at_mut(size);
        let parts = [left, middle, right].map(|part| (part, CHUNK));
        let [left, middle, right] = parts;
        for_each_chunk_of_three(left, middle, right, &|chunk, left, middle, right| {
            let first = chunk * CHUNK;
            let pairs = left.len();
            let mut outputs = [left, middle, right];
            gradient_pairs::<T, LANES>(whole(pairs), first, sums, size, ky, &mut outputs);
            gradient_pairs::<T, 1>(rest(pairs), first, sums, size, ky, &mut outputs);
        });
    });
}

/// Writes row `ky` of the gradient of some pairs of channels, `L` pairs at a time. `first` is the number of the first
/// pair of `outputs`.
fn gradient_pairs<T: Real, const L: usize>(
    range: Range<usize>,
    first: usize,
    sums: &[T],
    size: usize,
    ky: usize,
    outputs: &mut [&mut [T]; 3],
) {
    for at in range.step_by(L) {
        let sum = |i: usize, j: usize| -> [T; L] {
            let mut splits = sums.chunks(16 * size);
            let at = (4 * i + j) * size + first + at;
            let mut sum: [T; L] = lanes(splits.next().expect("a split"), at);
            for split in splits {
                let next: [T; L] = lanes(split, at);
                (0..L).for_each(|l| sum[l] += next[l]);
            }
            sum
        };
        let columns: [[T; L]; 4] = from_fn(|j| transposed_g(|i| sum(i, j), ky));
        for (kx, output) in outputs.iter_mut().enumerate() {
            store(output, at, transposed_g(|j| columns[j], kx));
        }
    }
}

/// Returns the product of row `k` of Gᵀ and a column, whose elements `of` returns.
#[inline]
fn transposed_g<T: Real, const L: usize>(of: impl Fn(usize) -> [T; L], k: usize) -> [T; L] {
    let half = T::from_f64(0.5);
    let (b, c) = (of(1), of(2));
    match k {
        0 => {
            let a = of(0);
            from_fn(|l| a[l] + half * (b[l] + c[l]))
        }
        1 => from_fn(|l| half * (b[l] - c[l])),
        _ => {
            let d = of(3);
            from_fn(|l| half * (b[l] + c[l]) + d[l])
        }
    }
}
