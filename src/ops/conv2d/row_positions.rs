//! Convolutions of one group whose channels are no multiple of four: a row of the kernel is one position.
//!
//! The fast kernels read the channels of a pixel in steps of four. With three channels, as in an image, a quarter of
//! the terms would be zeros. In memory, the values of x under a row of the kernel are neighbours, and so are their
//! weights. So the forward pass and the gradient of the weight take these values as the channels of one position:
//! `[KH, KW, C, Co]` is the same weight as `[KH, 1, KW·C, Co]`. A sum has the same terms in the same order.

use super::{ConvGeometry, by_fours};
use crate::kernel::Shader;
use crate::ops::Window;

impl ConvGeometry {
    /// Returns the convolution with a row of the kernel as one position, if it has one group and its channels are no
    /// multiple of four; otherwise returns the convolution itself.
    ///
    /// A fast kernel with this geometry reads x through the import of [`ConvGeometry::with_load_x`]; x and the weight keep
    /// their layout in memory.
    pub(super) fn with_row_positions(&self) -> Self {
        let [kernel_h, kernel_w] = self.window.size;
        if self.groups > 1 || self.ci.is_multiple_of(4) || kernel_w == 1 {
            return *self;
        }
        let window = Window { size: [kernel_h, 1], ..self.window };
        Self { ci: kernel_w * self.ci, row_pixels: kernel_w, window, ..*self }
    }

    /// Adds the import `load_x` to the shader of a fast kernel.
    pub(super) fn with_load_x(&self, shader: Shader) -> Shader {
        match self.row_pixels {
            1 => {
                let load_x = by_fours(self.ci, "conv2d/load_x_vec4", "conv2d/load_x_scalar");
                shader.import("load_x", load_x)
            }
            n => {
                shader.import("load_x", "conv2d/load_x_row").constant("PIXEL_CHANNELS", self.ci / n)
            }
        }
    }
}
