//! The gradient of the weight: `d_weight = patchesᵀ · d_y`.

use std::ops::Range;

use super::pooled::{unpool, unpooled_elements};
use super::winograd;
use crate::kernel::Real;
use crate::kernel::cpu::CHUNK;
use crate::kernel::cpu::matmul::{Matrix, product};
use crate::kernel::cpu::parallel::for_each_chunk;
use crate::ops::conv2d::im2col::{self, PatchBlock};
use crate::ops::conv2d::winograd::pays_on_cpu;
use crate::ops::conv2d::{Conv2dDWeight, ConvGeometry};
use crate::tape::{Args, NodeIo, Reference, ScratchSize};

/// Least number of tasks, if the shape allows it: enough to keep many threads busy to the end.
const MIN_TASKS: usize = 24;
/// Largest number of splits of the images.
const MAX_SPLITS: usize = 32;
/// Largest number of partial sums over all splits: 16 MiB of f32. Two splits are always allowed.
const MAX_PARTIALS: usize = 1 << 22;

/// The division of the sums of d_weight among tasks. Split-K divides the images, and the partial sums are added
/// afterwards. If there are many weights, memory allows only few splits; then tasks also divide the positions of the
/// kernel, whose sums are independent. The division depends on the shape alone, so the order of the sums is the same on
/// every machine.
struct SplitK {
    /// Number of splits of the images.
    n_splits: usize,
    /// Number of images of a split.
    images_per_split: usize,
    /// Number of positions of the kernel in a task.
    positions_per_task: usize,
}

impl SplitK {
    fn new(g: &ConvGeometry) -> Self {
        let n_weights = im2col::n_columns(g) * g.co;
        let images_per_split = g.n.div_ceil((MAX_PARTIALS / n_weights).clamp(2, MAX_SPLITS));
        let n_splits = g.n.div_ceil(images_per_split);
        let n_tasks = MIN_TASKS.div_ceil(n_splits).min(g.window.area());
        Self { n_splits, images_per_split, positions_per_task: g.window.area().div_ceil(n_tasks) }
    }
}

impl Reference for Conv2dDWeight {
    fn scratch(&self, io: &NodeIo<'_>) -> ScratchSize {
        let g = self.geometry(io.input_shape(0), io.input_shape(1));
        if self.winograd && pays_on_cpu(&g, self.pool) {
            return winograd::d_weight::scratch(&g);
        }
        let split_k = SplitK::new(&g);
        let patches = im2col::block_rows(&g) * split_k.positions_per_task * g.ci_per_group();
        let unpooled = unpooled_elements(&g, self.pool.is_some(), im2col::images_per_block(&g));
        let n_weights = im2col::n_columns(&g) * g.co;
        ScratchSize { shared: split_k.n_splits * n_weights, per_thread: unpooled + patches }
    }

    fn run<T: Real>(&self, args: Args<'_, T>) {
        let g = self.geometry(args.io.input_shape(0), args.io.input_shape(1));
        if self.winograd && pays_on_cpu(&g, self.pool) {
            return winograd::d_weight::run(&g, args);
        }
        let (x, d_y) = (args.inputs[0].real(), args.inputs[1].real());
        let index = self.pool.map(|_| args.inputs[2].words());
        let d_weight = args.outputs[0].real();
        let threads = args.scratch.threads;
        let split_k = SplitK::new(&g);
        let n_weights = d_weight.len();
        let partials = &mut args.scratch.shared[..split_k.n_splits * n_weights];
        for_each_chunk(partials, n_weights, &|split, partial| {
            let first = split * split_k.images_per_split;
            let images = first..(first + split_k.images_per_split).min(g.n);
            let chunk = split_k.positions_per_task * g.ci_per_group() * g.co;
            for_each_chunk(partial, chunk, &|task, partial| {
                let first = task * split_k.positions_per_task;
                let positions = first..(first + split_k.positions_per_task).min(g.window.area());
                threads.with(|scratch| {
                    sum_images(&g, x, d_y, index, images.clone(), positions, partial, scratch);
                });
            });
        });
        let partials = &*partials;
        for_each_chunk(d_weight, CHUNK, &|chunk, d_weight| {
            let start = chunk * CHUNK;
            d_weight.copy_from_slice(&partials[start..start + d_weight.len()]);
            for partial in partials.chunks(n_weights).skip(1) {
                let partial = &partial[start..start + d_weight.len()];
                d_weight.iter_mut().zip(partial).for_each(|(sum, &p)| *sum += p);
            }
        });
    }
}

/// Computes the part of `d_weight` that comes from some of the images, for some positions of the kernel.
#[expect(clippy::too_many_arguments)]
fn sum_images<T: Real>(
    g: &ConvGeometry,
    x: &[T],
    d_y: &[T],
    index: Option<&[u32]>,
    images: Range<usize>,
    positions: Range<usize>,
    d_weight: &mut [T],
    scratch: &mut [T],
) {
    let (n_images, rows) = (im2col::images_per_block(g), im2col::block_rows(g));
    let (buffer, patches) = scratch.split_at_mut(unpooled_elements(g, index.is_some(), n_images));
    let n_columns = positions.len() * g.ci_per_group();
    let mut accumulate = false;
    for first in images.clone().step_by(n_images) {
        let end = (first + n_images).min(images.end);
        let d_out = unpool(g, d_y, index, first..end, buffer);
        for (block, d_out) in d_out.chunks(rows * g.co).enumerate() {
            let start = first * g.out[0] * g.out[1] + block * rows;
            let pixels = start..start + d_out.len() / g.co;
            for group in 0..g.groups {
                let (pixels, positions) = (pixels.clone(), positions.clone());
                let n_pixels = pixels.len();
                im2col::gather(g, x, PatchBlock { pixels, positions, group }, patches);
                let columns = group * g.co_per_group();
                product(
                    [n_columns, g.co_per_group(), n_pixels],
                    &mut d_weight[columns..],
                    g.co,
                    Matrix::transposed(patches, n_columns),
                    Matrix::strided(&d_out[columns..], g.co),
                    accumulate,
                );
            }
            accumulate = true;
        }
    }
}
