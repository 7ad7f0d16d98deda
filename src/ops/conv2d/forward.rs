//! The forward node of a convolution, alone or with the max pool behind it.

use rayon::prelude::*;

use super::im2col::{self, BLOCK};
use super::product::Product;
use super::{Conv2d, Conv2dDInput, Conv2dDWeight, Geometry, by_fours};
use crate::device::cpu::matmul::{Matrix, product};
use crate::ops::{
    Args, Binding, Kernels, Launch, Op, OutputSpec, Real, Reference, Target, Tile, channel_sum,
    grid, max_pool2d::wins,
};
use crate::tape::{Node, NodeIo, Tape, Value, ValueId};

/// `x, weight[, bias] -> y`, or, with a pool, `x, weight -> y, index`: the pooled output and, as u32,
/// the position within each window (row-major) that the maximum was at.
#[derive(Clone, Debug)]
pub struct Conv2dForward {
    /// Kernel, stride, padding, groups.
    pub conv: Conv2d,
    /// Whether there is a bias.
    pub has_bias: bool,
    /// The window of a max pool that tiles the output, fused by
    /// [`conv_max_pool`](crate::tape::fuse::conv_max_pool).
    pub pool: Option<[usize; 2]>,
}

impl Conv2dForward {
    fn geometry(&self, io: &NodeIo<'_>) -> Geometry {
        Geometry::new(&self.conv, self.pool, io.input_shape(0), io.input_shape(1))
    }

    /// Tiles know no groups, and of pools the 2x2 one, whose windows are four rows of a product.
    fn is_tiled(&self, g: &Geometry) -> bool {
        g.groups == 1 && self.pool.is_none_or(|pool| pool == [2, 2])
    }
}

impl Op for Conv2dForward {
    fn name(&self) -> &'static str {
        if self.pool.is_some() { "conv2d_max_pool.forward" } else { "conv2d.forward" }
    }

    fn attributes(&self) -> String {
        Geometry::attributes(&self.conv, self.pool)
    }

    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec> {
        let g = Geometry::new(&self.conv, self.pool, &inputs[0].shape, &inputs[1].shape);
        assert!(!(self.has_bias && self.pool.is_some()), "conv2d: no bias with a fused pool");
        if self.has_bias {
            let bias = &inputs[2].shape;
            assert_eq!(bias, &[g.co], "conv2d: {} channels, but bias {bias:?}", g.co);
        }
        let shape = [g.n, g.pooled[0], g.pooled[1], g.co];
        let y = OutputSpec::real("conv", &shape);
        match self.pool {
            None => vec![y],
            Some(_) => vec![y, OutputSpec::words("index", &shape)],
        }
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
        let (conv, pool) = (self.conv, self.pool);
        let with = |inputs: [ValueId; 2]| inputs.into_iter().chain(index).collect::<Vec<_>>();
        let d_x = tape.value(x).requires_grad.then(|| {
            let x_shape = tape.shape(x).try_into().expect("x has four axes");
            tape.push_one(Conv2dDInput { conv, pool, x_shape }, &with([weight, d_y]))
        });
        let d_weight = tape.value(weight).requires_grad.then(|| {
            let weight_shape = tape.shape(weight).try_into().expect("weight has four axes");
            tape.push_one(Conv2dDWeight { conv, pool, weight_shape }, &with([x, d_y]))
        });
        let mut d_inputs = vec![d_x, d_weight];
        if self.has_bias {
            d_inputs.push(Some(channel_sum::channel_sum(tape, d_y)));
        }
        d_inputs
    }

    fn flops(&self, io: &NodeIo<'_>) -> u64 {
        self.geometry(io).flops()
    }

    fn tiles(&self, io: &NodeIo<'_>) -> &'static [Tile] {
        if self.is_tiled(&self.geometry(io)) { Tile::ALL } else { &[] }
    }

    fn launch(&self, io: &NodeIo<'_>, target: &Target) -> Launch {
        let g = self.geometry(io);
        let mut bindings = vec![Binding::Input(0), Binding::Input(1), Binding::Output(0)];
        if self.has_bias {
            bindings.push(Binding::Input(2));
        }
        if self.pool.is_some() {
            bindings.push(Binding::Output(1));
        }
        let bias = if self.has_bias { "conv2d/bias_some" } else { "conv2d/bias_none" };
        if target.kernels == Kernels::Naive || !self.is_tiled(&g) {
            let shader = match self.pool {
                None => g.shader("conv2d/forward_naive").import("bias", bias),
                Some(_) => g.shader("conv2d/forward_pool_naive"),
            };
            return Launch::one(shader, &bindings, grid(io.output(0).n_elements()));
        }
        let n_pixels = g.n * g.pooled[0] * g.pooled[1] * g.pool[0] * g.pool[1];
        let product = Product { rows: n_pixels, columns: g.co, depth: g.ci };
        let is_plain = self.pool.is_none() && !self.has_bias;
        let n_parts = if is_plain { product.n_parts(&g) } else { 1 };
        let (shader, workgroups) = product.shader(&g, target, n_parts);
        let shader = shader
            .import("operands", "conv2d/operands_forward")
            .import("load_x", by_fours(g.ci, "conv2d/load_x_vec4", "conv2d/load_x_scalar"));
        let shader = match self.pool {
            None => shader
                .import("rows", "conv2d/rows_linear")
                .import("epilogue", "conv2d/epilogue_store")
                .import("bias", bias),
            Some(_) => shader
                .import("rows", "conv2d/rows_pooled")
                .import("epilogue", "conv2d/epilogue_pool"),
        };
        if n_parts == 1 {
            return Launch::one(shader, &bindings, workgroups);
        }
        bindings[2] = Binding::Scratch(0);
        Launch::default()
            .with_scratch(n_parts * io.output(0).n_elements())
            .then(shader, &bindings, workgroups)
            .then_sum_slabs(0, n_parts, Binding::Output(0), io.output(0).n_elements())
    }
}

impl Reference for Conv2dForward {
    fn run<T: Real>(&self, args: Args<'_, T>) {
        let g = self.geometry(&args.io);
        let (x, weight) = (args.inputs[0].real(), args.inputs[1].real());
        let bias = self.has_bias.then(|| args.inputs[2].real());
        let (y, rest) = args.outputs.split_first_mut().expect("conv2d has an output");
        let y = y.real();
        match self.pool {
            None => y.par_chunks_mut(BLOCK * g.co).enumerate().for_each(|(block, y)| {
                convolve(&g, x, weight, bias, block * BLOCK, y);
            }),
            Some(_) => {
                // A task makes whole images: the tensor before the pool exists for a few at a time.
                let index = rest[0].words();
                let n_images = im2col::images_per_block(&g);
                let pooled = g.pooled[0] * g.pooled[1] * g.co;
                let unpooled = g.out[0] * g.out[1] * g.co;
                let y = y.par_chunks_mut(n_images * pooled);
                let index = index.par_chunks_mut(n_images * pooled);
                y.zip(index).enumerate().for_each_init(
                    || vec![T::ZERO; n_images * unpooled],
                    |conv, (task, (y, index))| {
                        let conv = &mut conv[..y.len() / pooled * unpooled];
                        let first = task * n_images * g.out[0] * g.out[1];
                        for (block, conv) in conv.chunks_mut(BLOCK * g.co).enumerate() {
                            convolve(&g, x, weight, bias, first + block * BLOCK, conv);
                        }
                        let images = y.chunks_mut(pooled).zip(index.chunks_mut(pooled));
                        for ((y, index), conv) in images.zip(conv.chunks(unpooled)) {
                            pool_image(&g, conv, y, index);
                        }
                    },
                );
            }
        }
    }
}

/// The output pixels from `first` on, as many as `y` holds.
fn convolve<T: Real>(
    g: &Geometry,
    x: &[T],
    weight: &[T],
    bias: Option<&[T]>,
    first: usize,
    y: &mut [T],
) {
    let (n_rows, n_columns) = (y.len() / g.co, im2col::n_columns(g));
    let mut patches = vec![T::ZERO; n_rows * n_columns];
    for group in 0..g.groups {
        im2col::gather(g, x, first..first + n_rows, group, &mut patches);
        let columns = group * g.co_per_group();
        product(
            [n_rows, g.co_per_group(), n_columns],
            &mut y[columns..],
            g.co,
            Matrix::rows(&patches, n_columns),
            Matrix::strided(&weight[columns..], g.co),
            false,
        );
    }
    if let Some(bias) = bias {
        for y in y.chunks_mut(g.co) {
            y.iter_mut().zip(bias).for_each(|(y, &b)| *y += b);
        }
    }
}

/// The maximum of every window of one image `[OH, OW, Co]`, and where it was; the first among equals, and
/// a NaN before any number.
fn pool_image<T: Real>(g: &Geometry, conv: &[T], y: &mut [T], index: &mut [u32]) {
    let [pool_h, pool_w] = g.pool;
    let rows = y.chunks_mut(g.co).zip(index.chunks_mut(g.co));
    for (pixel, (y, index)) in rows.enumerate() {
        let (py, px) = (pixel / g.pooled[1], pixel % g.pooled[1]);
        for at in 0..pool_h * pool_w {
            let (oy, ox) = (py * pool_h + at / pool_w, px * pool_w + at % pool_w);
            let source = &conv[(oy * g.out[1] + ox) * g.co..][..g.co];
            for ((y, index), &value) in y.iter_mut().zip(&mut *index).zip(source) {
                if at == 0 || wins(value, *y) {
                    *y = value;
                    *index = at as u32;
                }
            }
        }
    }
}
