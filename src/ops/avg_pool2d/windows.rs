//! The windows of an average pool: the rows and columns of each, and the number that divides its sum.

use std::fmt;
use std::ops::Range;

use crate::kernel::Shader;
use crate::ops::pool::PlaneSizes;
use crate::ops::{Pool, Window};

/// The windows over which an average pool takes means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Windows {
    /// A window that slides over the plane.
    Sliding {
        /// The windows.
        pool: Pool,
        /// True if the padding counts in the mean as zeros. The part of a last window beyond the padding does not
        /// count.
        count_include_pad: bool,
    },
    /// As many windows as the output has pixels. Along an axis of length H with OH windows, window i is the range from
    /// i·H/OH, rounded down, to (i+1)·H/OH, rounded up and excluded.
    Adaptive {
        /// `[OH, OW]`.
        out: [usize; 2],
    },
}

/// A window along one axis.
pub(super) struct Span {
    /// The rows or columns of the plane in the window.
    pub plane: Range<usize>,
    /// The number of rows or columns that count in the mean.
    pub divisor: usize,
}

impl Windows {
    /// Returns the sizes of a pool of x, `[N, H, W, C]`.
    pub(super) fn sizes(&self, x: &[usize]) -> PlaneSizes {
        match *self {
            Windows::Sliding { pool, .. } => pool.sizes("avg_pool2d", x),
            Windows::Adaptive { out } => PlaneSizes::new("avg_pool2d", x, |_| out),
        }
    }

    /// Returns the window of row or column `out` of y. `axis` is 0 for rows and 1 for columns.
    pub(super) fn span(&self, sizes: &PlaneSizes, axis: usize, out: usize) -> Span {
        let extent = sizes.plane[axis];
        match *self {
            Windows::Sliding { pool, count_include_pad } => {
                let Window { size, stride, padding } = pool.window;
                let (size, padding) = (size[axis], padding[axis]);
                // Positions in the padded plane, whose first position has the number 0.
                let start = out * stride[axis];
                let end = (start + size).min(extent + 2 * padding);
                let plane = start.max(padding) - padding..end.min(extent + padding) - padding;
                let divisor = if count_include_pad { end - start } else { plane.len() };
                Span { plane, divisor }
            }
            Windows::Adaptive { out: n } => {
                let plane = out * extent / n[axis]..((out + 1) * extent).div_ceil(n[axis]);
                Span { divisor: plane.len(), plane }
            }
        }
    }

    /// Returns the number that divides the sum of every window, the area of the window; None if the windows have
    /// different divisors.
    pub(super) fn shared_divisor(&self, sizes: &PlaneSizes) -> Option<usize> {
        let Windows::Sliding { pool, count_include_pad } = *self else { return None };
        let Window { size, stride, padding } = pool.window;
        let is_whole = |axis: usize| {
            let end = (sizes.out[axis] - 1) * stride[axis] + size[axis];
            let counts = count_include_pad || padding[axis] == 0;
            counts && end <= sizes.plane[axis] + 2 * padding[axis]
        };
        (is_whole(0) && is_whole(1)).then(|| pool.window.area())
    }

    /// Returns the first shader if all windows have one divisor, otherwise the second, with the constants for x.
    pub(super) fn shader(&self, [even, uneven]: [&'static str; 2], x: &[usize]) -> Shader {
        let sizes = self.sizes(x);
        match *self {
            Windows::Sliding { pool, .. } if self.shared_divisor(&sizes).is_some() => {
                pool.shader(even, &sizes)
            }
            Windows::Sliding { pool, count_include_pad } => pool
                .shader(uneven, &sizes)
                .import("windows", "avg_pool2d/windows_sliding")
                .constant("COUNT_INCLUDE_PAD", count_include_pad),
            Windows::Adaptive { .. } => {
                sizes.shader(uneven).import("windows", "avg_pool2d/windows_adaptive")
            }
        }
    }

    /// Returns the number of additions: the sum of the windows' areas.
    pub(super) fn flops(&self, x: &[usize]) -> u64 {
        let sizes = self.sizes(x);
        let [rows, columns] = [0, 1].map(|axis| match *self {
            Windows::Sliding { pool, .. } => sizes.out[axis] * pool.window.size[axis],
            Windows::Adaptive { out } => {
                (0..out[axis]).map(|out| self.span(&sizes, axis, out).divisor).sum()
            }
        });
        (sizes.n * rows * columns * sizes.channels) as u64
    }
}

impl fmt::Display for Windows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Windows::Sliding { pool, count_include_pad: true } => pool.fmt(f),
            Windows::Sliding { pool, .. } => write!(f, "{pool}, padding not counted"),
            Windows::Adaptive { out: [h, w] } => write!(f, "adaptive, to {h}x{w}"),
        }
    }
}
