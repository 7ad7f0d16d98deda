//! The products of patches and weights, `patches · weight`, that the forward pass and the gradient of the input share,
//! and the transposition of the weight for the gradient.

use std::array::from_fn;

use crate::kernel::Real;
use crate::kernel::cpu::matmul::{Matrix, product};
use crate::ops::conv2d::im2col::{PatchBlock, Patches};

/// Computes as many pixels of a result as `y` has, from pixel number `first` of the patches' result on. `y` has
/// `groups · channels` elements for each pixel. `weight` returns the matrix of a group, with a row for each column of
/// the patches and `channels` columns.
pub(super) fn multiply<'a, T: Real>(
    patches: &Patches,
    source: &[T],
    [groups, channels]: [usize; 2],
    weight: impl Fn(usize) -> Matrix<'a, T>,
    first: usize,
    y: &mut [T],
    buffer: &mut [T],
) {
    let row = groups * channels;
    let pixels = first..first + y.len() / row;
    for group in 0..groups {
        let block = PatchBlock { pixels: pixels.clone(), taps: 0..patches.n_taps(), group };
        let left = patches.matrix(source, block, buffer);
        let sizes = [pixels.len(), channels, patches.n_columns()];
        product(sizes, &mut y[group * channels..], row, left, weight(group), false);
    }
}

/// Writes the transpose of a matrix, whose rows are `stride` elements apart, as `[n_rows, n_columns]`.
pub(super) fn transpose<T: Real>(
    matrix: &[T],
    stride: usize,
    transposed: &mut [T],
    [n_rows, n_columns]: [usize; 2],
) {
    /// Number of rows and columns of a tile, one cache line of each. The tiles of the same rows of `matrix` follow one
    /// another, so the processor reads these rows ahead.
    const TILE: usize = 16;
    /// Number of rows and columns of a block of a tile, which the compiler keeps in registers.
    const BLOCK: usize = 4;
    let (rows, columns) = (n_rows / TILE * TILE, n_columns / TILE * TILE);
    for column in (0..columns).step_by(TILE) {
        for row in (0..rows).step_by(TILE) {
            for column in (column..column + TILE).step_by(BLOCK) {
                for row in (row..row + TILE).step_by(BLOCK) {
                    let [a, b, c, d]: [[T; BLOCK]; BLOCK] = from_fn(|at| {
                        let from = &matrix[(column + at) * stride + row..];
                        *from.first_chunk().expect("a row of the block")
                    });
                    for at in 0..BLOCK {
                        let to = &mut transposed[(row + at) * n_columns + column..];
                        *to.first_chunk_mut().expect("a row of the block") =
                            [a[at], b[at], c[at], d[at]];
                    }
                }
            }
        }
    }
    for row in 0..n_rows {
        for column in (if row < rows { columns } else { 0 })..n_columns {
            transposed[row * n_columns + column] = matrix[column * stride + row];
        }
    }
}
