//! Sizes that ops compute from a shape.

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
