//! The forward pass and the gradient of the input as correlations: each pixel of a result is a sum over taps of a
//! source.
//!
//! The source of the forward pass is x, and its taps are the positions of the kernel. The source of the gradient of the
//! input is d_y. With a stride s, pixel i of x lies under kernel position k only if `i + padding − k` is a multiple of
//! s. So the pixels of x fall into s phases along each axis, and all pixels of a phase have the same taps:
//!
//! ```text
//! forward     y[u]               = Σ tap  x[u·stride + tap − padding]  · weight[tap]
//! d_input     d_x[first + u·s]   = Σ tap  d_y[u + tap + offset]        · weight[r + s·(taps − 1 − tap)]
//!             r = (first + padding) mod s,  offset = ⌊(first + padding) / s⌋ − (taps − 1)
//! ```

use super::ConvGeometry;

/// Rows or columns of a correlation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Axis {
    /// The first row or column of the result.
    pub first: usize,
    /// The distance between neighbouring rows or columns of the result.
    pub step: usize,
    /// The number of rows or columns of the result.
    pub count: usize,
    /// The number of taps. Without taps, the result is 0.
    pub taps: usize,
    /// The distance between the sources of neighbouring rows or columns of the result.
    pub stride: usize,
    /// The source of the first row or column of the result under the first tap; negative in the padding.
    pub offset: isize,
    /// The position of the kernel that belongs to the first tap.
    kernel_first: usize,
    /// The distance between the positions of the kernel that belong to neighbouring taps.
    kernel_step: isize,
}

impl Axis {
    /// Returns the rows (`axis` 0) or columns (`axis` 1) of the forward pass.
    pub fn forward(g: &ConvGeometry, axis: usize) -> Self {
        Self {
            first: 0,
            step: 1,
            count: g.out[axis],
            taps: g.window.size[axis],
            stride: g.window.stride[axis],
            offset: -(g.window.padding[axis] as isize),
            kernel_first: 0,
            kernel_step: 1,
        }
    }

    /// Returns the rows or columns of a phase of the gradient of the input: those at `first`, `first` + stride, and so
    /// on. `first` is less than the stride.
    pub fn d_input(g: &ConvGeometry, axis: usize, first: usize) -> Self {
        let (size, stride) = (g.window.size[axis], g.window.stride[axis]);
        let at = first + g.window.padding[axis];
        let taps = size.saturating_sub(at % stride).div_ceil(stride);
        Self {
            first,
            step: stride,
            count: g.plane[axis].saturating_sub(first).div_ceil(stride),
            taps,
            stride: 1,
            offset: (at / stride) as isize - taps as isize + 1,
            kernel_first: (at % stride + stride * taps).saturating_sub(stride),
            kernel_step: -(stride as isize),
        }
    }

    /// Returns the position of the kernel that belongs to a tap.
    pub fn kernel(&self, tap: usize) -> usize {
        self.kernel_first.wrapping_add_signed(self.kernel_step * tap as isize)
    }

    /// Returns the source of row or column number `ix` of the result under a tap; None in the padding. `extent` is the
    /// size of the source.
    #[inline]
    pub fn source(&self, ix: usize, tap: usize, extent: usize) -> Option<usize> {
        let at = (ix * self.stride + tap) as isize + self.offset;
        usize::try_from(at).ok().filter(|&at| at < extent)
    }

    /// Returns the number after the last source of row or column number `ix` of the result. `extent` is the size of the
    /// source.
    pub fn source_end(&self, ix: usize, extent: usize) -> usize {
        (ix * self.stride + self.taps).saturating_add_signed(self.offset).min(extent)
    }

    /// Returns the number of the row or column `at` of the result, if the axis contains it.
    pub fn number(&self, at: usize) -> Option<usize> {
        let from_first = at.checked_sub(self.first)?;
        from_first.is_multiple_of(self.step).then_some(from_first / self.step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::Window;
    use crate::ops::conv2d::Conv2d;

    /// The phases visit every pair of a pixel of x and a position of the kernel that meet, with the pixel of y.
    #[test]
    fn phases_of_the_gradient_invert_the_forward_pass() {
        for (size, stride, padding, extent) in [
            (1, 1, 0, 5),
            (3, 1, 1, 6),
            (3, 2, 1, 7),
            (1, 2, 0, 8),
            (7, 2, 3, 9),
            (2, 3, 0, 9),
            (3, 1, 4, 5),
        ] {
            let conv = Conv2d { window: Window::square(size, stride, padding), groups: 1 };
            let g = ConvGeometry::new(&conv, None, &[1, extent, extent, 1], &[size, size, 1, 1]);
            let mut forward = Vec::new();
            let axis = Axis::forward(&g, 0);
            for y in 0..axis.count {
                for tap in 0..axis.taps {
                    if let Some(x) = axis.source(y, tap, extent) {
                        forward.push((x, axis.kernel(tap), y));
                    }
                }
            }
            let mut backward = Vec::new();
            for first in 0..stride {
                let axis = Axis::d_input(&g, 0, first);
                for ix in 0..axis.count {
                    let x = axis.first + ix * axis.step;
                    assert_eq!(axis.number(x), Some(ix));
                    for tap in 0..axis.taps {
                        if let Some(y) = axis.source(ix, tap, g.out[0]) {
                            backward.push((x, axis.kernel(tap), y));
                        }
                    }
                }
            }
            forward.sort_unstable();
            backward.sort_unstable();
            assert_eq!(forward, backward, "{conv:?} of {extent} rows");
        }
    }
}
