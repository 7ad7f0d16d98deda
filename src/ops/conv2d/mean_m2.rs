//! The convolution's additional output for a batch norm: mean and M2 of each channel of y, for every partition of the
//! pixels.

use super::ConvGeometry;
use crate::kernel::launch::grid;
use crate::kernel::{Binding, Launch, Shader};
use crate::ops::mean_m2;
use crate::ops::partitions::Partitions;

/// Number of rows of the matrix product in a partition. `shaders/conv2d/mean_m2.wgsl` has the same number.
pub(super) const PARTITION_ROWS: usize = 64;
/// Number of rows of a register tile, which one invocation computes. `shaders/conv2d/mean_m2.wgsl` has the same number.
const TILE_ROWS: usize = 8;

impl ConvGeometry {
    /// Returns the partitions of the output's pixels. With a pool, each pixel of the output has as many rows of the
    /// product as the pool's window has pixels.
    pub fn partitions(&self) -> Partitions {
        let rows_per_pixel = self.rows_per_pixel();
        Partitions {
            n_rows: self.n_rows() / rows_per_pixel,
            rows_each: PARTITION_ROWS / rows_per_pixel,
        }
    }

    /// Returns the number of elements of the mean and M2 of all register tiles, `[tiles, 2, Co]`.
    pub fn n_tile_mean_m2(&self) -> usize {
        self.n_rows().div_ceil(TILE_ROWS) * 2 * self.co
    }

    /// Appends the dispatch that merges mean and M2 of register tiles into mean and M2 of partitions. `trip_count` is
    /// the shader file for the trip count of the shader's loop.
    pub fn merge_tile_rows(
        &self,
        launch: Launch,
        trip_count: &'static str,
        tiles: Binding,
        mean_m2: Binding,
    ) -> Launch {
        let shader = Shader::new("conv2d/merge_tile_rows")
            .import("trip_count", trip_count)
            .constant("ROWS_PER_PIXEL", self.rows_per_pixel())
            .constant("MEAN_M2_BINDING", 1);
        let sizes = [self.n_rows(), self.co].map(Binding::size);
        let n_invocations = self.partitions().count() * self.co.div_ceil(4);
        launch.then(shader, &[tiles, mean_m2, sizes[0], sizes[1]], grid(n_invocations))
    }

    /// Appends the dispatch that computes mean and M2 of partitions from the stored output `y`, for the kernels that do
    /// not compute mean and M2 themselves.
    pub fn launch_mean_m2(&self, launch: Launch, y: Binding, mean_m2: Binding) -> Launch {
        mean_m2::launch(launch, self.partitions(), self.co, y, mean_m2)
    }
}
