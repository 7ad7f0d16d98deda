//! The products of patches and weights, `patches · weight`, that the forward pass and the gradient of the input share.

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
