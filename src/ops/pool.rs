//! The geometry of pools: how many windows a plane has, and the sizes of the values on both sides of the op.

use std::fmt;

use super::{Window, nhwc};
use crate::kernel::Shader;

/// The windows of a pool.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Pool {
    /// Size, stride and padding.
    pub window: Window,
    /// True to round the number of windows up, `ceil_mode=True` in PyTorch. The last window may then extend beyond the
    /// padded plane.
    pub ceil_mode: bool,
}

impl From<Window> for Pool {
    /// Returns the pool whose number of windows is rounded down, PyTorch's default.
    fn from(window: Window) -> Self {
        Self { window, ceil_mode: false }
    }
}

impl From<usize> for Pool {
    /// Returns the pool with square windows of this size that have no overlap, no gaps and no padding.
    fn from(size: usize) -> Self {
        Window::square(size, size, 0).into()
    }
}

impl Pool {
    /// Returns `[OH, OW]`, the number of windows along the axes of a plane `[H, W]`. The last window begins inside the
    /// plane or in the padding before it.
    ///
    /// # Panics
    /// If there is no window.
    pub fn output(&self, plane: [usize; 2]) -> [usize; 2] {
        if !self.ceil_mode {
            return self.window.output(plane);
        }
        let Window { size, stride, padding } = self.window;
        std::array::from_fn(|axis| {
            let steps =
                (plane[axis] + 2 * padding[axis] + stride[axis]).checked_sub(size[axis] + 1);
            let steps = steps.unwrap_or_else(|| panic!("no window of {self} fits into {plane:?}"));
            // A window after this one would begin in the padding behind the plane, or beyond it.
            let last = (plane[axis] + padding[axis] - 1) / stride[axis];
            (steps / stride[axis]).min(last) + 1
        })
    }

    /// Returns the sizes of a pool of x, `[N, H, W, C]`.
    ///
    /// # Panics
    /// If the padding is more than half the window. A window could then lie in the padding alone.
    pub(super) fn sizes(&self, op: &str, x: &[usize]) -> PlaneSizes {
        let Window { size, padding, .. } = self.window;
        let fits = (0..2).all(|axis| 2 * padding[axis] <= size[axis]);
        assert!(fits, "{op}: the padding of {self} is more than half the window");
        PlaneSizes::new(op, x, |plane| self.output(plane))
    }

    /// Returns the shader with the constants of `shaders/shared/pool_geometry.wgsl`.
    pub(super) fn shader(&self, path: &'static str, sizes: &PlaneSizes) -> Shader {
        sizes.shader(path).constants(&self.window.constants())
    }
}

impl fmt::Display for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.window, if self.ceil_mode { ", ceil_mode" } else { "" })
    }
}

/// The sizes of an op that makes planes y, `[N, OH, OW, C]`, from planes x, `[N, H, W, C]`.
#[derive(Clone, Copy, Debug)]
pub(super) struct PlaneSizes {
    pub n: usize,
    /// `[H, W]`.
    pub plane: [usize; 2],
    pub channels: usize,
    /// `[OH, OW]`.
    pub out: [usize; 2],
}

impl PlaneSizes {
    /// Returns the sizes for x; `output` returns `[OH, OW]` for `[H, W]`.
    pub fn new(op: &str, x: &[usize], output: impl FnOnce([usize; 2]) -> [usize; 2]) -> Self {
        let [n, h, w, channels] = nhwc(op, x);
        Self { n, plane: [h, w], channels, out: output([h, w]) }
    }

    /// Returns the shape of y.
    pub fn output_shape(&self) -> [usize; 4] {
        [self.n, self.out[0], self.out[1], self.channels]
    }

    /// Returns the number of elements of an image of x.
    pub fn input_image(&self) -> usize {
        self.plane[0] * self.plane[1] * self.channels
    }

    /// Returns the number of elements of an image of y.
    pub fn output_image(&self) -> usize {
        self.out[0] * self.out[1] * self.channels
    }

    /// Panics if the gradient of y does not have the shape of y.
    pub fn check_gradient(&self, op: &str, d_y: &[usize]) {
        let y = self.output_shape();
        assert_eq!(d_y, y, "{op}: y has shape {y:?}, but its gradient {d_y:?}");
    }

    /// Returns the shader with the shapes of `shaders/shared/pool_geometry.wgsl`, without the window.
    pub fn shader(&self, path: &'static str) -> Shader {
        Shader::new(path).constants(&[
            ("N", self.n),
            ("H", self.plane[0]),
            ("W", self.plane[1]),
            ("C", self.channels),
            ("OH", self.out[0]),
            ("OW", self.out[1]),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers of PyTorch's `max_pool2d`: plane, window, stride, padding, and the output with `ceil_mode` off and on.
    #[test]
    fn the_number_of_windows_is_pytorchs() {
        for (plane, [size, stride, padding], floor, ceil) in [
            ([8, 7], [3, 2, 0], Some([3, 3]), [4, 3]),
            ([9, 6], [3, 2, 1], Some([5, 3]), [5, 4]),
            ([112, 112], [3, 2, 0], Some([55, 55]), [56, 56]),
            // A third window would begin at row 6 of the padded plane, behind the last row of the plane.
            ([5, 5], [2, 2, 1], Some([3, 3]), [3, 3]),
            ([7, 10], [2, 3, 1], Some([3, 4]), [3, 4]),
            ([2, 2], [3, 2, 0], None, [1, 1]),
        ] {
            let window = Window::square(size, stride, padding);
            if let Some(floor) = floor {
                assert_eq!(Pool::from(window).output(plane), floor, "{window} on {plane:?}");
            }
            assert_eq!(Pool { window, ceil_mode: true }.output(plane), ceil, "{window}, {plane:?}");
        }
    }

    #[test]
    #[should_panic(expected = "no window of 3x3, stride 2, padding 0, ceil_mode fits into [1, 8]")]
    fn a_plane_without_a_window_is_refused() {
        Pool { window: Window::square(3, 2, 0), ceil_mode: true }.output([1, 8]);
    }
}
