//! Sizes and positions that ops compute from a shape.

/// Returns the product of all axes but the last: the number of rows of a matrix whose columns are the channels.
pub(crate) fn n_rows(shape: &[usize]) -> usize {
    shape[..shape.len() - 1].iter().product()
}

/// Returns the size of the last axis: the number of channels.
pub(crate) fn n_channels(shape: &[usize]) -> usize {
    *shape.last().expect("a value has at least one axis")
}

/// Returns a shape as `[N, H, W, C]`.
///
/// # Panics
/// If the shape does not have four axes.
pub(crate) fn nhwc(op: &str, shape: &[usize]) -> [usize; 4] {
    shape.try_into().unwrap_or_else(|_| panic!("{op}: {shape:?} is not [N, H, W, C]"))
}

/// Returns the position in `0..extent` that `at` mirrors at the first or the last position, as PyTorch's reflection
/// padding does: −1 mirrors 1, `extent` mirrors `extent − 2`. `at` is at most `extent − 1` positions outside. This
/// function is the CPU reference of `shaders/shared/mirrored.wgsl`.
pub(crate) fn mirrored(at: isize, extent: usize) -> usize {
    let last = extent as isize - 1;
    (last - (last - at.abs()).abs()) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_mirrored_without_repeating_the_border() {
        let mirrored: Vec<_> = (-3..7).map(|at| mirrored(at, 4)).collect();
        assert_eq!(mirrored, [3, 2, 1, 0, 1, 2, 3, 2, 1, 0]);
        assert_eq!([-1, 0, 1, 2].map(|at| super::mirrored(at, 2)), [1, 0, 1, 0]);
    }
}
