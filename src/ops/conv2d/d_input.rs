//! The gradient of a convolution's input.

use super::d_output::{bindings, unpool, with_d_output, with_d_output4};
use super::narrow::Blocks;
use super::product::Product;
use super::uneven::{self, Tensor};
use super::{Conv2d, ConvGeometry, winograd, winograd_launch};
use crate::kernel::{Binding, Launch, Shader, Target, Tile, grid};
use crate::tape::{NodeIo, Op, OutputSpec, Value};

/// The gradient of the input: `weight, d_y[, index] -> d_x`. With a fused max pool, `d_y` is the gradient of the pooled
/// output, and `index` has the positions of the maxima.
#[derive(Clone, Debug)]
pub struct Conv2dDInput {
    /// Kernel size, stride, padding and groups of the convolution.
    pub conv: Conv2d,
    /// The window of the fused max pool, if there is one.
    pub pool: Option<[usize; 2]>,
    /// The shape of x, `[N, H, W, Ci]`.
    pub x_shape: [usize; 4],
    /// True if the device may use Winograd's algorithm, as in the forward pass.
    pub winograd: bool,
}

impl Conv2dDInput {
    pub(super) fn geometry(&self, weight: &[usize], d_y: &[usize]) -> ConvGeometry {
        let g = ConvGeometry::new(&self.conv, self.pool, &self.x_shape, weight);
        let expected = [g.n, g.pooled[0], g.pooled[1], g.co];
        assert_eq!(d_y, expected, "conv2d: y has shape {expected:?}, but its gradient {d_y:?}");
        g
    }
}

impl Op for Conv2dDInput {
    fn name(&self) -> &'static str {
        if self.pool.is_some() { "conv2d_max_pool.d_input" } else { "conv2d.d_input" }
    }

    fn attributes(&self) -> String {
        ConvGeometry::attributes(&self.conv, self.pool) + winograd::attribute(self.winograd)
    }

    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec> {
        self.geometry(&inputs[0].shape, &inputs[1].shape);
        vec![OutputSpec::real("conv.d_input", &self.x_shape)]
    }

    fn flops(&self, io: &NodeIo<'_>) -> u64 {
        self.geometry(io.input_shape(0), io.input_shape(1)).flops()
    }

    fn tiles(&self, io: &NodeIo<'_>) -> &'static [Tile] {
        let g = self.geometry(io.input_shape(0), io.input_shape(1));
        g.tiles(ConvGeometry::ci_per_group)
    }

    fn launch(&self, io: &NodeIo<'_>, target: &Target) -> Launch {
        let g = self.geometry(io.input_shape(0), io.input_shape(1));
        if self.winograd && winograd::pays_on_gpu(winograd::Of::Input, &g, self.pool, target) {
            return winograd_launch::d_input(&g, target);
        }
        if g.is_naive(target) {
            let shader = with_d_output(g.shader("conv2d/d_input_naive"), self.pool);
            return Launch::one(shader, &bindings(self.pool), grid(io.output(0).n_elements()));
        }
        if g.is_uneven() {
            let inputs = [Tensor::Weight, Tensor::Y];
            return uneven::launch(&g, &inputs, Tensor::X, |g| self.fast(g, target));
        }
        self.fast(&g, target)
    }
}

impl Conv2dDInput {
    /// Returns the launch of the fast kernels. The number of channels of each group fits them.
    fn fast(&self, g: &ConvGeometry, target: &Target) -> Launch {
        let mut bindings = bindings(self.pool);
        let n_weights = g.window.area() * g.ci_per_group() * g.co;
        let n_made = g.n * g.plane[0] * g.plane[1] * g.ci;
        let product = Product::d_input(g);
        let sizes = [g.groups, g.ci_per_group(), g.co_per_group()].map(Binding::size);
        let transposed: Vec<_> =
            [Binding::Input(0), Binding::Scratch(0)].into_iter().chain(sizes).collect();
        let (path, n_copied) = match [g.ci_per_group(), g.co_per_group()] {
            [ci, co] if ci.is_multiple_of(4) && co.is_multiple_of(4) => {
                ("conv2d/transpose_weight_vec4", 16)
            }
            _ => ("conv2d/transpose_weight_scalar", 4),
        };
        let mut launch = Launch::default().with_scratch(n_weights).then(
            Shader::new(path),
            &transposed,
            grid(n_weights.div_ceil(n_copied)),
        );
        bindings[0] = Binding::Scratch(0);
        let tiling = product.tiling(g, target);
        let mut pool = self.pool;
        if tiling.tile.is_in_registers()
            && let Some(unpooled) = unpool(g, pool, &mut launch)
        {
            bindings = vec![Binding::Scratch(0), unpooled, Binding::Output(0)];
            pool = None;
        }
        if g.input_has_blocks(tiling.tile, target) {
            let blocks = Blocks::of_input(g, target);
            let (shader, workgroups) = blocks.shader(g, g.ci, tiling.tile, target);
            let shader = with_d_output4(shader, pool, g.co)
                .import("operands", "conv2d/operands_d_input")
                .import("bias", "conv2d/bias_none");
            return launch.then(shader, &bindings, workgroups);
        }
        let n_splits = tiling.n_splits;
        let has_phases = product.phases[0] > 1;
        let rows = if has_phases { "conv2d/rows_phases" } else { "conv2d/rows_linear" };
        let (shader, workgroups) = product.shader(g, target, tiling);
        let shader = with_d_output4(shader, pool, g.co)
            .import("operands", "conv2d/operands_d_input")
            .import("rows", rows)
            .import("epilogue", "conv2d/epilogue_store")
            .import("bias", "conv2d/bias_none");
        launch.split_k(shader, &bindings, workgroups, n_splits, Binding::Output(0), n_made)
    }
}
