//! The forward node of a convolution, alone or fused with the max pool after it.

use super::narrow::Blocks;
use super::product::{Product, Tiling};
use super::uneven::{self, Tensor};
use super::{Conv2d, Conv2dDInput, Conv2dDWeight, ConvGeometry, winograd, winograd_launch};
use crate::kernel::{Binding, Launch, Shader, Target, Tile, grid};
use crate::ops::partitions::Partitions;
use crate::ops::{channel_sum, mean_m2};
use crate::tape::{Node, NodeIo, Op, OutputSpec, Tape, Value, ValueId};

/// The forward node: `x, weight[, bias] -> y[, mean_m2]`.
///
/// With a fused max pool: `x, weight -> y, index[, mean_m2]`. y is the pooled output, and index has, in u32, the
/// row-major position of the maximum in each window.
#[derive(Clone, Debug)]
pub struct Conv2dForward {
    /// Kernel size, stride, padding and groups of the convolution.
    pub conv: Conv2d,
    /// True if the third input is a bias.
    pub has_bias: bool,
    /// The window of the max pool that [`conv_max_pool`](crate::passes::fuse::conv_max_pool) has fused; `None` without
    /// a pool. The windows of such a pool do not overlap.
    pub pool: Option<[usize; 2]>,
    /// True if the last output is mean and M2 of partitions of y, `[partitions, 2, Co]`. The fusion
    /// [`conv_batch_norm`](crate::passes::fuse::conv_batch_norm) sets this field.
    pub mean_m2: bool,
    /// True if the device may use Winograd's algorithm. The fusion [`winograd`](crate::passes::fuse::winograd) sets this
    /// field.
    pub winograd: bool,
}

impl Conv2dForward {
    pub(super) fn geometry(&self, io: &NodeIo<'_>) -> ConvGeometry {
        ConvGeometry::new(&self.conv, self.pool, io.input_shape(0), io.input_shape(1))
    }

    /// Returns true without a pool, or with a 2x2 pool. The fast kernels keep a pool's window in four rows of the
    /// product, so the naive kernels compute other pools, and no kernel computes mean and M2 for them.
    pub(crate) fn has_rows_for_pool(&self) -> bool {
        self.pool.is_none_or(|pool| pool == [2, 2])
    }

    /// Returns true if only the naive kernels compute the forward pass because of its pool.
    fn needs_naive(&self, g: &ConvGeometry) -> bool {
        !self.has_rows_for_pool() || (g.is_narrow() && self.pool.is_some())
    }

    /// Returns the partitions of the pixels of y. The node computes mean and M2 of each partition.
    pub(crate) fn partitions(&self, io: &NodeIo<'_>) -> Partitions {
        self.geometry(io).partitions()
    }
}

impl Op for Conv2dForward {
    fn name(&self) -> &'static str {
        if self.pool.is_some() { "conv2d_max_pool.forward" } else { "conv2d.forward" }
    }

    fn attributes(&self) -> String {
        let mean_m2 = if self.mean_m2 { ", mean_m2" } else { "" };
        ConvGeometry::attributes(&self.conv, self.pool)
            + mean_m2
            + winograd::attribute(self.winograd)
    }

    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec> {
        let g = ConvGeometry::new(&self.conv, self.pool, &inputs[0].shape, &inputs[1].shape);
        assert!(
            !(self.has_bias && self.pool.is_some()),
            "conv2d: a convolution with a fused pool has no bias"
        );
        assert!(
            !self.mean_m2 || self.has_rows_for_pool(),
            "conv2d: mean_m2 needs no pool or a 2x2 pool"
        );
        if self.has_bias {
            let bias = &inputs[2].shape;
            assert_eq!(bias, &[g.co], "conv2d: {} channels, but bias {bias:?}", g.co);
        }
        let shape = [g.n, g.pooled[0], g.pooled[1], g.co];
        let mut outputs = vec![OutputSpec::real("conv", &shape)];
        outputs.extend(self.pool.map(|_| OutputSpec::words("index", &shape)));
        let mean_m2 = || OutputSpec::real("mean_m2", &mean_m2::shape(g.partitions(), g.co));
        outputs.extend(self.mean_m2.then(mean_m2));
        outputs
    }

    fn backward(
        &self,
        tape: &mut Tape,
        node: &Node,
        d_outputs: &[Option<ValueId>],
    ) -> Vec<Option<ValueId>> {
        let d_y = d_outputs[0].expect("y has a gradient");
        let (x, weight) = (node.inputs[0], node.inputs[1]);
        let index = self.pool.map(|_| node.outputs[1]);
        let Self { conv, pool, winograd, .. } = *self;
        let with = |inputs: [ValueId; 2]| inputs.into_iter().chain(index).collect::<Vec<_>>();
        let d_x = tape.value(x).requires_grad.then(|| {
            let x_shape = tape.shape(x).try_into().expect("x has four axes");
            tape.push_one(Conv2dDInput { conv, pool, x_shape, winograd }, &with([weight, d_y]))
        });
        let d_weight = tape.value(weight).requires_grad.then(|| {
            let weight_shape = tape.shape(weight).try_into().expect("weight has four axes");
            tape.push_one(Conv2dDWeight { conv, pool, weight_shape, winograd }, &with([x, d_y]))
        });
        let mut d_inputs = vec![d_x, d_weight];
        if self.has_bias {
            let is_wanted = tape.value(node.inputs[2]).requires_grad;
            d_inputs.push(is_wanted.then(|| channel_sum::channel_sum(tape, d_y)));
        }
        d_inputs
    }

    fn flops(&self, io: &NodeIo<'_>) -> u64 {
        // Per element of y, the formulas have one addition for the mean and three operations for M2. The operations of
        // merges are not counted.
        let mean_m2 = if self.mean_m2 { 4 * io.output(0).n_elements() } else { 0 };
        self.geometry(io).flops() + mean_m2 as u64
    }

    fn tiles(&self, io: &NodeIo<'_>) -> &'static [Tile] {
        let g = self.geometry(io);
        if self.needs_naive(&g) { &[] } else { g.tiles(ConvGeometry::co_per_group) }
    }

    fn launch(&self, io: &NodeIo<'_>, target: &Target) -> Launch {
        let g = self.geometry(io);
        let then_mean_m2 = |launch| match self.mean_m2 {
            true => {
                let mean_m2 = Binding::Output(io.n_outputs() - 1);
                g.launch_mean_m2(launch, Binding::Output(0), mean_m2)
            }
            false => launch,
        };
        if self.winograd && winograd::pays_on_gpu(winograd::Of::Output, &g, self.pool, target) {
            return then_mean_m2(winograd_launch::forward(&g, self.has_bias, target));
        }
        if g.is_naive(target) || self.needs_naive(&g) {
            let n_made = io.output(0).n_elements();
            let launch = Launch::one(self.naive(&g), &self.bindings(), grid(n_made));
            return then_mean_m2(launch);
        }
        if g.is_uneven() {
            let mut inputs = vec![Tensor::X, Tensor::Weight];
            inputs.extend(self.has_bias.then_some(Tensor::Bias));
            let without_mean_m2 = Self { mean_m2: false, ..self.clone() };
            let fast = |padded: &ConvGeometry| without_mean_m2.fast(padded, target);
            return then_mean_m2(uneven::launch(&g, &inputs, Tensor::Y, fast));
        }
        self.fast(&g, target)
    }
}

/// The dispatch that computes a matrix product in tiles.
struct Tiled {
    tiling: Tiling,
    shader: Shader,
    workgroups: [u32; 3],
}

impl Conv2dForward {
    /// Returns the buffers that every kernel binds, in the order of the bindings.
    fn bindings(&self) -> Vec<Binding> {
        let mut bindings = vec![Binding::Input(0), Binding::Input(1), Binding::Output(0)];
        bindings.extend(self.has_bias.then_some(Binding::Input(2)));
        bindings.extend(self.pool.map(|_| Binding::Output(1)));
        bindings
    }

    /// Returns the launch of the fast kernels. The number of channels of each group fits them.
    fn fast(&self, g: &ConvGeometry, target: &Target) -> Launch {
        let mut bindings = self.bindings();
        let (y, n_made) = (Binding::Output(0), g.n_rows() / g.rows_per_pixel() * g.co);
        let mean_m2 = self.mean_m2.then(|| Binding::Output(1 + usize::from(self.pool.is_some())));
        // Appends a dispatch that computes mean and M2, if they are an output of the node. Only kernels that do not
        // compute mean and M2 themselves need this dispatch.
        let then_mean_m2 = |launch| match mean_m2 {
            Some(mean_m2) => g.launch_mean_m2(launch, y, mean_m2),
            None => launch,
        };
        let launch = Launch::default();
        let tile = g.tile(g.n_rows(), g.co_per_group(), target);
        if g.has_blocks(tile, target) {
            let (shader, workgroups) = Blocks::of_output(g, target).shader(g, g.co, tile, target);
            let shader = self.with_operands(g, shader).import("bias", self.bias());
            return then_mean_m2(launch.then(shader, &bindings, workgroups));
        }
        let Tiled { tiling, shader, workgroups } = self.tiled(g, target);
        let Some(mean_m2) = mean_m2.filter(|_| tiling.mean_m2) else {
            let n_splits = tiling.n_splits;
            let launch = launch.split_k(shader, &bindings, workgroups, n_splits, y, n_made);
            return then_mean_m2(launch);
        };
        let shader = shader.constant("MEAN_M2_BINDING", bindings.len());
        if !tiling.tile.is_in_registers() {
            bindings.push(mean_m2);
            return launch.then(shader, &bindings, workgroups);
        }
        let tiles = Binding::Scratch(0);
        bindings.push(tiles);
        let launch = launch.with_scratch(g.n_tile_mean_m2()).then(shader, &bindings, workgroups);
        g.merge_tile_rows(launch, target.trip_count(), tiles, mean_m2)
    }

    fn naive(&self, g: &ConvGeometry) -> Shader {
        match self.pool {
            None => g.shader("conv2d/forward_naive").import("bias", self.bias()),
            Some(_) => g.shader("conv2d/forward_pool_naive"),
        }
    }

    fn tiled(&self, g: &ConvGeometry, target: &Target) -> Tiled {
        let product = Product::forward(g);
        let mut tiling = product.tiling(g, target);
        if self.pool.is_some() || self.has_bias {
            tiling.n_splits = 1;
        }
        // Where another tile has blocks, every tile computes mean and M2 from the stored output, to make the same bits.
        let is_apart = tiling.n_splits > 1 || g.some_tile_has_blocks(target);
        tiling.mean_m2 = self.mean_m2 && !is_apart;
        let by_rows = g.with_row_positions();
        let (shader, workgroups) = product.shader(&by_rows, target, tiling);
        let shader = self.with_operands(&by_rows, shader).import("rows", self.rows());
        let shader = match self.pool {
            None => shader.import("epilogue", "conv2d/epilogue_store").import("bias", self.bias()),
            Some(_) => shader.import("epilogue", "conv2d/epilogue_pool"),
        };
        Tiled { tiling, shader, workgroups }
    }

    fn with_operands(&self, g: &ConvGeometry, shader: Shader) -> Shader {
        g.with_load_x(shader.import("operands", "conv2d/operands_forward"))
    }

    /// Returns the shader file that maps rows of the product to pixels.
    fn rows(&self) -> &'static str {
        if self.pool.is_some() { "conv2d/rows_pooled" } else { "conv2d/rows_linear" }
    }

    fn bias(&self) -> &'static str {
        if self.has_bias { "conv2d/bias_some" } else { "conv2d/bias_none" }
    }
}
