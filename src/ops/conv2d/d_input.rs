//! The gradient of a convolution's input.

use std::ops::Range;

use rayon::prelude::*;

use super::im2col::{self, BLOCK};
use super::product::Product;
use super::{Conv2d, Geometry, by_fours};
use crate::device::cpu::matmul::{Matrix, product};
use crate::ops::max_pool2d::PoolGeometry;
use crate::ops::{
    Args, Binding, Kernels, Launch, Op, OutputSpec, Real, Reference, Shader, Target, Tile, Window,
    grid,
};
use crate::tape::{NodeIo, Value};

/// Up to this size, a register tile has the pooled gradient put where the index points before it starts: it reads
/// every number for few channels, so reading through the index would cost more than the multiplications.
/// The binding that every WebGPU adapter has.
const MAX_UNPOOLED_BYTES: usize = 128 << 20;

/// `weight, d_y[, index] -> d_x`; with a pool, `d_y` is the gradient of the pooled output.
#[derive(Clone, Debug)]
pub struct Conv2dDInput {
    /// Kernel, stride, padding, groups.
    pub conv: Conv2d,
    /// The window of the fused max pool.
    pub pool: Option<[usize; 2]>,
    /// `[N, H, W, Ci]`.
    pub x_shape: [usize; 4],
}

impl Conv2dDInput {
    fn geometry(&self, weight: &[usize], d_y: &[usize]) -> Geometry {
        let g = Geometry::new(&self.conv, self.pool, &self.x_shape, weight);
        let expected = [g.n, g.pooled[0], g.pooled[1], g.co];
        assert_eq!(d_y, expected, "conv2d: the gradient of y is {d_y:?}, and y {expected:?}");
        g
    }
}

impl Op for Conv2dDInput {
    fn name(&self) -> &'static str {
        if self.pool.is_some() { "conv2d_max_pool.d_input" } else { "conv2d.d_input" }
    }

    fn attributes(&self) -> String {
        Geometry::attributes(&self.conv, self.pool)
    }

    fn outputs(&self, inputs: &[&Value]) -> Vec<OutputSpec> {
        self.geometry(&inputs[0].shape, &inputs[1].shape);
        vec![OutputSpec::real("conv.d_input", &self.x_shape)]
    }

    fn flops(&self, io: &NodeIo<'_>) -> u64 {
        self.geometry(io.input_shape(0), io.input_shape(1)).flops()
    }

    fn tiles(&self, _io: &NodeIo<'_>) -> &'static [Tile] {
        if self.conv.groups == 1 { Tile::ALL } else { &[] }
    }

    fn launch(&self, io: &NodeIo<'_>, target: &Target) -> Launch {
        let g = self.geometry(io.input_shape(0), io.input_shape(1));
        let mut bindings = vec![Binding::Input(0), Binding::Input(1), Binding::Output(0)];
        if self.pool.is_some() {
            bindings.push(Binding::Input(2));
        }
        if target.kernels == Kernels::Naive || g.groups != 1 {
            let shader = with_d_output(g.shader("conv2d/d_input_naive"), self.pool);
            return Launch::one(shader, &bindings, grid(io.output(0).n_elements()));
        }
        let (n_weights, n_made) = (io.input(0).n_elements(), io.output(0).n_elements());
        let product = Product { rows: g.n * g.plane[0] * g.plane[1], columns: g.ci, depth: g.co };
        let transposed = [Binding::Input(0), Binding::Scratch(0)];
        let mut launch = Launch::default().with_scratch(n_weights).then(
            g.shader("conv2d/transpose_weight"),
            &transposed,
            grid(n_weights),
        );
        bindings[0] = Binding::Scratch(0);
        let mut pool = self.pool;
        let n_unpooled = g.n_pixels() * g.co;
        let tile = target.tile(product.rows, product.columns);
        if let Some(size) = pool
            && tile == Tile::Registers
            && 4 * n_unpooled <= MAX_UNPOOLED_BYTES
        {
            let unpooled = [Binding::Input(1), Binding::Input(2), Binding::Scratch(1)];
            let window = Window { size, stride: size, padding: [0, 0] };
            let pool_geometry =
                PoolGeometry::new("conv2d", window, &[g.n, g.out[0], g.out[1], g.co]);
            launch = launch.with_scratch(n_unpooled).then(
                pool_geometry.shader("max_pool2d/backward"),
                &unpooled,
                grid(n_unpooled),
            );
            bindings = vec![Binding::Scratch(0), Binding::Scratch(1), Binding::Output(0)];
            pool = None;
        }
        let n_parts = product.n_parts(&g);
        let (shader, workgroups) = product.shader(&g, target, n_parts);
        let shader = with_d_output4(shader, pool, g.co)
            .import("operands", "conv2d/operands_d_input")
            .import("rows", "conv2d/rows_linear")
            .import("epilogue", "conv2d/epilogue_store")
            .import("bias", "conv2d/bias_none");
        if n_parts == 1 {
            return launch.then(shader, &bindings, workgroups);
        }
        let partials = launch.scratch.len();
        bindings[2] = Binding::Scratch(partials);
        launch.with_scratch(n_parts * n_made).then(shader, &bindings, workgroups).then_sum_slabs(
            partials,
            n_parts,
            Binding::Output(0),
            n_made,
        )
    }
}

/// Chooses how a naive kernel reads the output's gradient.
pub(super) fn with_d_output(shader: Shader, pool: Option<[usize; 2]>) -> Shader {
    let file = match pool {
        None => "conv2d/d_output_plain",
        Some(_) => "conv2d/d_output_pooled",
    };
    shader.import("d_output", file)
}

/// Chooses how a tiled kernel reads the output's gradient, four channels at a time.
pub(super) fn with_d_output4(shader: Shader, pool: Option<[usize; 2]>, co: usize) -> Shader {
    let file = match pool {
        None => by_fours(co, "conv2d/d_output4_plain_vec4", "conv2d/d_output4_plain_scalar"),
        Some(_) => by_fours(co, "conv2d/d_output4_pooled_vec4", "conv2d/d_output4_pooled_scalar"),
    };
    shader.import("d_output4", file)
}

impl Reference for Conv2dDInput {
    fn run<T: Real>(&self, args: Args<'_, T>) {
        let g = self.geometry(args.io.input_shape(0), args.io.input_shape(1));
        let (weight, d_y) = (args.inputs[0].real(), args.inputs[1].real());
        let index = self.pool.map(|_| args.inputs[2].words());
        let d_x = args.outputs[0].real();
        // A task makes whole images, since the patches of neighbouring pixels overlap.
        let n_images = im2col::images_per_block(&g);
        let image = g.plane[0] * g.plane[1] * g.ci;
        d_x.par_chunks_mut(n_images * image).enumerate().for_each_init(
            || (vec![T::ZERO; BLOCK * im2col::n_columns(&g)], Vec::new()),
            |(patches, buffer), (task, d_x)| {
                d_x.fill(T::ZERO);
                let first = task * n_images;
                let images = first..first + d_x.len() / image;
                let d_out = unpooled(&g, d_y, index, images.clone(), buffer);
                let n_pixels = g.out[0] * g.out[1];
                for (block, d_out) in d_out.chunks(BLOCK * g.co).enumerate() {
                    let start = first * n_pixels + block * BLOCK;
                    let pixels = start..start + d_out.len() / g.co;
                    scatter_block(&g, weight, d_out, pixels, patches, (d_x, first * image));
                }
            },
        );
    }
}

/// d_patches = d_out · weightᵀ, added back to where the patches came from.
fn scatter_block<T: Real>(
    g: &Geometry,
    weight: &[T],
    d_out: &[T],
    pixels: Range<usize>,
    patches: &mut [T],
    (d_x, origin): (&mut [T], usize),
) {
    let n_columns = im2col::n_columns(g);
    for group in 0..g.groups {
        let columns = group * g.co_per_group();
        product(
            [pixels.len(), n_columns, g.co_per_group()],
            patches,
            n_columns,
            Matrix::strided(&d_out[columns..], g.co),
            Matrix::strided(&weight[columns..], g.co).t(),
            false,
        );
        im2col::scatter_add(g, patches, pixels.clone(), group, d_x, origin);
    }
}

/// The gradient of the convolution's output for some images, `[images, OH, OW, Co]`: as it lies in
/// memory, or, in `buffer`, the pooled gradient put where the index points.
pub(super) fn unpooled<'a, T: Real>(
    g: &Geometry,
    d_y: &'a [T],
    index: Option<&[u32]>,
    images: Range<usize>,
    buffer: &'a mut Vec<T>,
) -> &'a [T] {
    let (pooled, unpooled) = (g.pooled[0] * g.pooled[1], g.out[0] * g.out[1]);
    let here = images.start * pooled * g.co..images.end * pooled * g.co;
    let d_y = &d_y[here.clone()];
    let Some(index) = index else { return d_y };
    buffer.clear();
    buffer.resize(images.len() * unpooled * g.co, T::ZERO);
    let pixels = d_y.chunks(g.co).zip(index[here].chunks(g.co));
    for (pixel, (d_y, index)) in pixels.enumerate() {
        let (n, py, px) = (pixel / pooled, pixel % pooled / g.pooled[1], pixel % g.pooled[1]);
        for (co, (&d, &at)) in d_y.iter().zip(index).enumerate() {
            let (qy, qx) = (at as usize / g.pool[1], at as usize % g.pool[1]);
            let (oy, ox) = (py * g.pool[0] + qy, px * g.pool[1] + qx);
            buffer[(n * unpooled + oy * g.out[1] + ox) * g.co + co] = d;
        }
    }
    buffer
}
