//! The moments of what a convolution makes, slab by slab of its pixels: where batch norm's own begin.

use super::Geometry;
use crate::kernel::launch::grid;
use crate::kernel::{Binding, Launch};
use crate::ops::batch_norm::moments_of_slabs;

/// Rows of the product in a slab; `shaders/conv2d/moments.wgsl` says the same.
pub(super) const SLAB_ROWS: usize = 64;
/// Rows that an invocation of a register tile makes.
const PIECE_ROWS: usize = 8;

impl Geometry {
    /// Pixels of a slab: with a pool, a pixel is as many rows of the product as its window has.
    pub fn pixels_per_slab(&self) -> usize {
        SLAB_ROWS / self.rows_per_pixel()
    }

    /// `[slabs, 2, Co]`: of each slab its means, and then its sums of squared deviations from them.
    pub fn moments(&self) -> [usize; 3] {
        [self.n_rows().div_ceil(SLAB_ROWS), 2, self.co]
    }

    /// Numbers in the moments of the pieces that a register tile makes.
    pub fn n_piece_moments(&self) -> usize {
        self.n_rows().div_ceil(PIECE_ROWS) * 2 * self.co
    }

    /// Appends what makes the moments of slabs of those of pieces; `rows` is the file that says which they are,
    /// `turns` whether a compiler is to know how often the kernel's loop turns.
    pub fn merge_pieces(
        &self,
        launch: Launch,
        rows: &'static str,
        turns: &'static str,
        pieces: Binding,
        moments: Binding,
    ) -> Launch {
        let shader = self.shader("conv2d/merge_pieces").import("rows", rows).import("turns", turns);
        let n_invocations = self.moments()[0] * self.co.div_ceil(4);
        launch.then(shader.constant("MOMENTS_BINDING", 1), &[pieces, moments], grid(n_invocations))
    }

    /// Appends what makes the moments of slabs of the output once that is there: for the kernels that do not make them
    /// on the way.
    pub fn read_moments(&self, launch: Launch, y: Binding, moments: Binding) -> Launch {
        let shape = [self.n, self.pooled[0], self.pooled[1], self.co];
        moments_of_slabs(launch, &shape, self.pixels_per_slab(), y, moments)
    }
}
