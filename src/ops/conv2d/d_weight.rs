//! The gradient of a convolution's weight.

use super::d_output::{bindings, unpool, with_d_output, with_d_output4};
use super::narrow::Blocks;
use super::product::{Lanes, square, with_lanes};
use super::uneven::{self, Tensor};
use super::{Conv2d, ConvGeometry, by_fours, winograd, winograd_launch};
use crate::kernel::launch::grid_of_workgroups;
use crate::kernel::{Binding, Launch, Target, Tile, grid};
use crate::tape::{NodeIo, Op, OutputSpec, Value};

/// The gradient of the weight: `x, d_y[, index] -> d_weight`. With a fused max pool, `d_y` is the gradient of the
/// pooled output, and `index` has the positions of the maxima.
#[derive(Clone, Debug)]
pub struct Conv2dDWeight {
    /// Kernel size, stride, padding and groups of the convolution.
    pub conv: Conv2d,
    /// The window of the fused max pool, if there is one.
    pub pool: Option<[usize; 2]>,
    /// The shape of the weight, `[KH, KW, Ci/groups, Co]`.
    pub weight_shape: [usize; 4],
    /// True if the device may use Winograd's algorithm, as in the forward pass.
    pub winograd: bool,
}

/// Number of tiles of 128 x 128 results, over all splits, that keeps a large GPU busy.
const ENOUGH_TILES: usize = 512;
/// Least number of pixels of a split. With fewer, adding the partial sums would take longer than computing them.
const MIN_PIXELS_PER_SPLIT: usize = 512;
/// Largest number of partial sums over all splits: 64 MiB of f32.
const MAX_PARTIALS: usize = 1 << 24;

/// Returns the number of splits of the pixels (split-K). The number depends on the shape alone, so all tiles of an adapter
/// add in the same order. For groups of 8 channels in blocks, the order of the pixels of a split is that of the blocks.
fn n_splits(n_pixels: usize, rows: usize, co: usize) -> usize {
    let wanted = ENOUGH_TILES.div_ceil(rows.div_ceil(128) * co.div_ceil(128));
    let by_memory = (MAX_PARTIALS / (rows * co)).max(1);
    wanted.min(n_pixels.div_ceil(MIN_PIXELS_PER_SPLIT)).min(by_memory)
}

impl Conv2dDWeight {
    pub(super) fn geometry(&self, x: &[usize], d_y: &[usize]) -> ConvGeometry {
        let g = ConvGeometry::new(&self.conv, self.pool, x, &self.weight_shape);
        let expected = [g.n, g.pooled[0], g.pooled[1], g.co];
        assert_eq!(d_y, expected, "conv2d: y has shape {expected:?}, but its gradient {d_y:?}");
        g
    }
}

impl Op for Conv2dDWeight {
    fn name(&self) -> &'static str {
        if self.pool.is_some() { "conv2d_max_pool.d_weight" } else { "conv2d.d_weight" }
    }

    fn attributes(&self) -> String {
        ConvGeometry::attributes(&self.conv, self.pool) + winograd::attribute(self.winograd)
    }

    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec> {
        self.geometry(&inputs[0].shape, &inputs[1].shape);
        vec![OutputSpec::real("conv.d_weight", &self.weight_shape)]
    }

    fn flops(&self, io: &NodeIo<'_>) -> u64 {
        self.geometry(io.input_shape(0), io.input_shape(1)).flops()
    }

    fn tiles(&self, io: &NodeIo<'_>) -> &'static [Tile] {
        let g = self.geometry(io.input_shape(0), io.input_shape(1));
        // One kernel computes narrow groups, without a tile.
        let is_narrow = g.for_fast_kernels().is_some_and(|g| g.is_narrow());
        if is_narrow { &[] } else { g.tiles(ConvGeometry::co_per_group) }
    }

    fn launch(&self, io: &NodeIo<'_>, target: &Target) -> Launch {
        let g = self.geometry(io.input_shape(0), io.input_shape(1));
        if self.winograd && winograd::pays_on_gpu(winograd::Of::Weight, &g, self.pool, target) {
            return winograd_launch::d_weight(&g, self.pool, target);
        }
        if g.is_naive(target) {
            let shader = with_d_output(g.shader("conv2d/d_weight_naive"), self.pool);
            return Launch::one(shader, &bindings(self.pool), grid(io.output(0).n_elements()));
        }
        if g.is_uneven() {
            let inputs = [Tensor::X, Tensor::Y];
            return uneven::launch(&g, &inputs, Tensor::Weight, |g| self.fast(g, target));
        }
        self.fast(&g, target)
    }
}

impl Conv2dDWeight {
    /// Returns the launch of the fast kernels. The number of channels of each group fits them.
    fn fast(&self, g: &ConvGeometry, target: &Target) -> Launch {
        let mut bindings = bindings(self.pool);
        let n_weights = g.window.area() * g.ci_per_group() * g.co;
        // The product has one row for each (ky, kx, ci), where ci counts the input channels of a group, or with row
        // positions the values of x under a row of the kernel. Their number is rounded up to a multiple of 4.
        let by_rows = g.with_row_positions();
        let rows = by_rows.window.area() * by_rows.ci_per_group().next_multiple_of(4);
        let n_splits = n_splits(g.n_pixels(), rows, g.co);
        let tile = g.tile(rows, g.co_per_group(), target);
        let mut launch = Launch::default();
        let mut pool = self.pool;
        if tile.is_in_registers()
            && let Some(unpooled) = unpool(g, pool, &mut launch)
        {
            bindings = vec![Binding::Input(0), unpooled, Binding::Output(0)];
            pool = None;
        }
        let square = square(tile);
        let has_blocks = square.is_none() && g.some_tile_has_blocks(target);
        let path = match square {
            Some(_) => "conv2d/d_weight_tile",
            None if has_blocks => "conv2d/d_weight_narrow",
            None => "conv2d/d_weight",
        };
        let shader = by_rows
            .with_load_x(with_d_output4(by_rows.shader(path), pool, g.co))
            .import("store_result", by_fours(g.co, "conv2d/store_vec4", "conv2d/store_scalar"))
            .constant("N_SPLITS", n_splits);
        let (shader, workgroups) = match square {
            None if has_blocks => {
                let shader = Blocks::of_sums(g, target).add_to(shader, target);
                // A group of at most four channels has one invocation, which shares nothing.
                let sharing = g.group_vectors();
                let shares = sharing > 1 && g.shares_reads(tile, target);
                let tile = if shares { tile } else { Tile::Registers };
                let shader = with_lanes(shader, sharing, 1, tile, target);
                (shader, grid(n_splits * g.co.div_ceil(4)))
            }
            None => {
                let blocks = rows.div_ceil(8);
                let lanes = Lanes::new(g.co, g.groups, blocks, tile, target);
                let row_lanes = blocks.next_multiple_of(lanes.column_sharing) * n_splits;
                let [x, y, _] = grid_of_workgroups(row_lanes.div_ceil(64 / lanes.channels));
                let z = (g.groups * lanes.group_vectors).div_ceil(lanes.channels) as u32;
                (lanes.add_to(shader, tile, target), [x, y, z])
            }
            Some((import, side)) => {
                let workgroups = [rows.div_ceil(side), n_splits, g.co.div_ceil(side)];
                (shader.import("tile", import), workgroups.map(|n| n as u32))
            }
        };
        launch.split_k(shader, &bindings, workgroups, n_splits, Binding::Output(0), n_weights)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_are_few_for_large_weights_and_many_for_small_ones() {
        assert_eq!(n_splits(8192, 9 * 512, 512), 4);
        assert_eq!(n_splits(524_288, 9 * 64, 128), 103);
        assert_eq!(n_splits(524_288, 9 * 4, 64), 512);
        assert_eq!(n_splits(512, 9 * 512, 512), 1);
        assert_eq!(
            n_splits(1 << 20, 9 * 2048, 2048),
            1,
            "two splits would have too many partial sums"
        );
    }
}
