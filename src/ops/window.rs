//! The geometry that convolutions and pools share: a window that slides over rows and columns.

use std::fmt;

/// A window: its size, its stride and the padding of the plane; rows first, then columns.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Window {
    /// Rows and columns of the window.
    pub size: [usize; 2],
    /// Distance between the starts of two neighbouring windows, in rows and in columns.
    pub stride: [usize; 2],
    /// Rows of padding above and below the plane, and columns left and right of it.
    pub padding: [usize; 2],
}

impl Window {
    /// Returns a square window with the same stride and padding along both axes.
    pub const fn square(size: usize, stride: usize, padding: usize) -> Self {
        Self { size: [size; 2], stride: [stride; 2], padding: [padding; 2] }
    }

    /// Returns `[OH, OW]`, the number of windows along the axes of a plane `[H, W]`.
    ///
    /// # Panics
    /// If no window fits.
    pub fn output(&self, plane: [usize; 2]) -> [usize; 2] {
        std::array::from_fn(|axis| {
            let padded = plane[axis] + 2 * self.padding[axis];
            assert!(self.size[axis] <= padded, "a window of {self} does not fit into {plane:?}");
            (padded - self.size[axis]) / self.stride[axis] + 1
        })
    }

    /// Returns the row or column of the plane under position `within` of window number `window`; None in the padding.
    /// `extent` is the size of the plane along `axis`.
    #[inline]
    pub fn source(
        &self,
        axis: usize,
        window: usize,
        within: usize,
        extent: usize,
    ) -> Option<usize> {
        let padded = window * self.stride[axis] + within;
        padded.checked_sub(self.padding[axis]).filter(|&at| at < extent)
    }

    /// Returns the number of positions in a window.
    pub fn area(&self) -> usize {
        self.size[0] * self.size[1]
    }

    /// Returns the constants of `shaders/shared/window.wgsl`.
    pub(crate) fn constants(&self) -> [(&'static str, usize); 6] {
        [
            ("KERNEL_H", self.size[0]),
            ("KERNEL_W", self.size[1]),
            ("STRIDE_H", self.stride[0]),
            ("STRIDE_W", self.stride[1]),
            ("PADDING_H", self.padding[0]),
            ("PADDING_W", self.padding[1]),
        ]
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [h, w] = self.size;
        let pair = |[a, b]: [usize; 2]| if a == b { a.to_string() } else { format!("{a}x{b}") };
        write!(f, "{h}x{w}, stride {}, padding {}", pair(self.stride), pair(self.padding))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_windows_and_finds_their_source_pixels() {
        assert_eq!(Window::square(3, 1, 1).output([32, 31]), [32, 31]);
        assert_eq!(Window::square(7, 2, 3).output([33, 31]), [17, 16]);
        assert_eq!(Window::square(2, 2, 0).output([7, 9]), [3, 4]);
        let window = Window::square(3, 2, 1);
        assert_eq!(window.source(0, 0, 0, 5), None);
        assert_eq!(window.source(0, 1, 0, 5), Some(1));
        assert_eq!(window.source(0, 2, 2, 5), None);
    }

    #[test]
    #[should_panic(expected = "does not fit")]
    fn a_window_larger_than_the_plane_is_refused() {
        Window::square(5, 1, 0).output([4, 8]);
    }
}
