//! The gradient of the weight: `d_weight = patchesᵀ · d_y`.

use std::ops::Range;

use super::direct::{DirectWeight, Source};
use super::pooled::{unpool, unpooled_elements};
use super::winograd;
use crate::kernel::Real;
use crate::kernel::cpu::CHUNK;
use crate::kernel::cpu::matmul::{Matrix, product};
use crate::kernel::cpu::parallel::for_each_chunk;
use crate::ops::conv2d::im2col::{self, PatchBlock, Patches};
use crate::ops::conv2d::winograd::pays_on_cpu;
use crate::ops::conv2d::{Conv2dDWeight, ConvGeometry};
use crate::tape::{Args, NodeIo, Reference, Scratch, ScratchSize};

/// Least number of tasks, if the shape allows it: enough to keep many threads busy to the end.
const MIN_TASKS: usize = 24;
/// Largest number of splits of the images.
const MAX_SPLITS: usize = 32;
/// Largest number of partial sums over all splits: 16 MiB of f32. Two splits are always allowed.
const MAX_PARTIALS: usize = 1 << 22;
/// Least number of pixels of a split, if there are as many: each split reads and writes all its partial sums.
const MIN_PIXELS: usize = 512;
/// Least number of input channels of a task of a 1x1 kernel: each task packs the gradient of the output once more.
const MIN_CHANNELS: usize = 128;

/// The division of the sums of d_weight among tasks. Split-K divides the images, and the partial sums are added
/// afterwards. If there are few splits, tasks also divide the positions of the kernel, whose sums are independent, or
/// the input channels of a 1x1 kernel. The division depends on the shape alone, so the order of the sums is the same on
/// every machine.
struct SplitK {
    /// Number of splits of the images.
    n_splits: usize,
    /// Number of images of a split.
    images_per_split: usize,
    /// Number of rows of d_weight of a task, `[KH, KW, Ci/groups]`: whole positions of the kernel, or channels.
    rows_per_task: usize,
}

impl SplitK {
    fn new(g: &ConvGeometry) -> Self {
        let n_weights = n_rows(g) * g.co;
        let images_per_split = g.n.div_ceil((MAX_PARTIALS / n_weights).clamp(2, MAX_SPLITS));
        let least = MIN_PIXELS.div_ceil(g.out[0] * g.out[1]);
        let images_per_split = images_per_split.max(least).min(g.n);
        let n_splits = g.n.div_ceil(images_per_split);
        let n_tasks = MIN_TASKS.div_ceil(n_splits);
        let rows_per_task = match divides_channels(g) {
            true => g.ci.div_ceil(n_tasks).max(MIN_CHANNELS).min(g.ci),
            false => g.window.area().div_ceil(n_tasks.min(g.window.area())) * g.ci_per_group(),
        };
        Self { n_splits, images_per_split, rows_per_task }
    }

    /// Returns the number of positions of the kernel in a task.
    fn positions(&self, g: &ConvGeometry) -> usize {
        self.rows_per_task.div_ceil(g.ci_per_group())
    }
}

/// Returns the number of rows of d_weight, `[KH, KW, Ci/groups]`.
fn n_rows(g: &ConvGeometry) -> usize {
    g.window.area() * g.ci_per_group()
}

/// Returns true if tasks divide the input channels: x itself is the matrix of patches, so a range of its columns costs
/// nothing.
fn divides_channels(g: &ConvGeometry) -> bool {
    g.groups == 1 && Patches::forward(g).is_source()
}

impl Reference for Conv2dDWeight {
    fn scratch(&self, io: &NodeIo<'_>) -> ScratchSize {
        let g = self.geometry(io.input_shape(0), io.input_shape(1));
        if self.winograd && pays_on_cpu(&g, self.pool) {
            return winograd::d_weight::scratch(&g);
        }
        if let Some(direct) = DirectWeight::new(&g) {
            return direct.scratch();
        }
        let split_k = SplitK::new(&g);
        let patches = Patches::forward(&g);
        let buffer = patches.buffer(patches.block_rows(), split_k.positions(&g));
        let unpooled = unpooled_elements(&g, self.pool.is_some(), im2col::images_per_block(&g));
        let shared = split_k.n_splits * n_rows(&g) * g.co;
        ScratchSize { per_thread: unpooled + buffer, ..ScratchSize::shared(shared) }
    }

    fn run<T: Real>(&self, args: Args<'_, T>) {
        let g = self.geometry(args.io.input_shape(0), args.io.input_shape(1));
        if self.winograd && pays_on_cpu(&g, self.pool) {
            return winograd::d_weight::run(&g, args);
        }
        let (x, d_y) = (args.inputs[0].real(), args.inputs[1].real());
        let index = self.pool.map(|_| args.inputs[2].words());
        let d_weight = args.outputs[0].real();
        if let Some(direct) = DirectWeight::new(&g) {
            let (x, d_y) = (Source::x(&g, x), Source::d_y(&g, d_y, index));
            return direct.run(x, d_y, d_weight, args.scratch);
        }
        let Scratch { shared, threads, .. } = args.scratch;
        let split_k = SplitK::new(&g);
        let n_weights = d_weight.len();
        let partials = &mut shared[..split_k.n_splits * n_weights];
        for_each_chunk(partials, n_weights, &|split, partial| {
            let first = split * split_k.images_per_split;
            let images = first..(first + split_k.images_per_split).min(g.n);
            for_each_chunk(partial, split_k.rows_per_task * g.co, &|task, partial| {
                let first = task * split_k.rows_per_task;
                let rows = first..first + partial.len() / g.co;
                threads.with(|scratch| {
                    sum_images(&g, x, d_y, index, images.clone(), rows, partial, scratch);
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

/// Computes the part of some rows of `d_weight` that comes from some of the images.
#[expect(clippy::too_many_arguments)]
fn sum_images<T: Real>(
    g: &ConvGeometry,
    x: &[T],
    d_y: &[T],
    index: Option<&[u32]>,
    images: Range<usize>,
    d_rows: Range<usize>,
    d_weight: &mut [T],
    scratch: &mut [T],
) {
    let patches = Patches::forward(g);
    let (n_images, rows) = (im2col::images_per_block(g), patches.block_rows());
    let (buffer, scratch) = scratch.split_at_mut(unpooled_elements(g, index.is_some(), n_images));
    // The columns of the patches are whole positions of the kernel, except if tasks divide the channels.
    let ci = g.ci_per_group();
    let taps = d_rows.start / ci..d_rows.end.div_ceil(ci);
    let x = &x[if divides_channels(g) { d_rows.start } else { 0 }..];
    let mut accumulate = false;
    for first in images.clone().step_by(n_images) {
        let end = (first + n_images).min(images.end);
        let d_out = unpool(g, d_y, index, first..end, buffer);
        for (block, d_out) in d_out.chunks(rows * g.co).enumerate() {
            let start = first * g.out[0] * g.out[1] + block * rows;
            let pixels = start..start + d_out.len() / g.co;
            for group in 0..g.groups {
                let sizes = [d_rows.len(), g.co_per_group(), pixels.len()];
                let block = PatchBlock { pixels: pixels.clone(), taps: taps.clone(), group };
                let columns = group * g.co_per_group();
                product(
                    sizes,
                    &mut d_weight[columns..],
                    g.co,
                    patches.matrix(x, block, scratch).t(),
                    Matrix::strided(&d_out[columns..], g.co),
                    accumulate,
                );
            }
            accumulate = true;
        }
    }
}
