//! The forward pass: `y = patches · weight`.

use rayon::prelude::*;

use super::pooled::pool_images;
use crate::kernel::Real;
use crate::kernel::cpu::matmul::{Matrix, product};
use crate::ops::conv2d::im2col::{self, PatchBlock};
use crate::ops::conv2d::mean_m2::PARTITION_ROWS;
use crate::ops::conv2d::{Conv2dForward, ConvGeometry};
use crate::ops::mean_m2;
use crate::tape::{Args, NodeIo, Reference, ScratchSize, SliceMut, ThreadScratch};

/// Returns the number of elements of the output before the fused pool, for the images of a task.
fn unpooled_elements(g: &ConvGeometry) -> usize {
    im2col::images_per_block(g) * g.out[0] * g.out[1] * g.co
}

impl Reference for Conv2dForward {
    fn scratch(&self, io: &NodeIo<'_>) -> ScratchSize {
        let g = self.geometry(io);
        let patches =
            im2col::block_rows(&g).next_multiple_of(PARTITION_ROWS) * im2col::n_columns(&g);
        let unpooled = if self.pool.is_some() { unpooled_elements(&g) } else { 0 };
        ScratchSize { shared: 0, per_thread: patches + unpooled }
    }

    fn run<T: Real>(&self, args: Args<'_, T>) {
        let g = self.geometry(&args.io);
        let (x, weight) = (args.inputs[0].real(), args.inputs[1].real());
        let threads = args.scratch.threads;
        let (y, rest) = args.outputs.split_first_mut().expect("conv2d has an output");
        let (index, mean_m2) = rest.split_at_mut(usize::from(self.pool.is_some()));
        let (y, mean_m2) = (y.real(), mean_m2.first_mut().map(SliceMut::real));
        if let Some(index) = index.first_mut() {
            return convolve_and_pool(&g, x, weight, y, index.words(), mean_m2, threads);
        }
        let bias = self.has_bias.then(|| args.inputs[2].real());
        // A task computes whole partitions, so it can also compute their mean and M2. (The size of a block does not
        // change the result, because a row does not depend on the other rows of its block.)
        let rows = im2col::block_rows(&g).next_multiple_of(PARTITION_ROWS);
        let blocks = y.par_chunks_mut(rows * g.co).enumerate();
        compute_blocks(&g, blocks, mean_m2, rows, |(block, y)| {
            threads.with(|patches| convolve(&g, x, weight, bias, block * rows, y, patches));
            y
        });
    }
}

/// Computes the output after the pool, and the index of each maximum. A task computes whole images, so memory holds the
/// tensor before the pool for only a few images at a time.
fn convolve_and_pool<T: Real>(
    g: &ConvGeometry,
    x: &[T],
    weight: &[T],
    y: &mut [T],
    index: &mut [u32],
    mut mean_m2: Option<&mut [T]>,
    threads: ThreadScratch<'_, T>,
) {
    let rows = im2col::block_rows(g);
    let n_images = im2col::images_per_block(g);
    let n_pooled = n_images * g.pooled[0] * g.pooled[1];
    let is_whole_partitions = n_pooled.is_multiple_of(g.partitions().rows_each);
    let in_block = if is_whole_partitions { mean_m2.take() } else { None };
    let index = index.par_chunks_mut(n_pooled * g.co);
    let blocks = y.par_chunks_mut(n_pooled * g.co).zip(index).enumerate();
    compute_blocks(g, blocks, in_block, n_pooled, |(block, (y, index))| {
        threads.with(|scratch| {
            let (unpooled, patches) = scratch.split_at_mut(unpooled_elements(g));
            let n_pixels = y.len() / (g.pooled[0] * g.pooled[1] * g.co) * g.out[0] * g.out[1];
            let unpooled = &mut unpooled[..n_pixels * g.co];
            let first = block * n_images * g.out[0] * g.out[1];
            for (ix, unpooled) in unpooled.chunks_mut(rows * g.co).enumerate() {
                convolve(g, x, weight, None, first + ix * rows, unpooled, patches);
            }
            pool_images(g, unpooled, y, index);
        });
        y
    });
    if let Some(mean_m2) = mean_m2 {
        mean_m2::of_partitions(y, g.partitions(), g.co, mean_m2);
    }
}

/// Computes every block of `n_pixels` pixels of the output with `compute`. If `mean_m2` is given, also computes mean
/// and M2 of the block's partitions, while the block is in the cache.
fn compute_blocks<'a, T: Real, B: IndexedParallelIterator>(
    g: &ConvGeometry,
    blocks: B,
    mean_m2: Option<&mut [T]>,
    n_pixels: usize,
    compute: impl Fn(B::Item) -> &'a mut [T] + Sync + Send,
) {
    let Some(mean_m2) = mean_m2 else {
        return blocks.for_each(|block| {
            compute(block);
        });
    };
    let n_rows = g.partitions().rows_each;
    let mean_m2 = mean_m2.par_chunks_mut(n_pixels / n_rows * 2 * g.co);
    blocks.zip(mean_m2).for_each(|(block, mean_m2)| {
        let partitions = compute(block).chunks(n_rows * g.co);
        let with_results = partitions.zip(mean_m2.chunks_mut(2 * g.co));
        with_results.for_each(|(rows, mean_m2)| mean_m2::of_rows(rows, mean_m2));
    });
}

/// Computes as many pixels of the output as `y` has, from pixel number `first` on.
fn convolve<T: Real>(
    g: &ConvGeometry,
    x: &[T],
    weight: &[T],
    bias: Option<&[T]>,
    first: usize,
    y: &mut [T],
    patches: &mut [T],
) {
    let (n_rows, n_columns) = (y.len() / g.co, im2col::n_columns(g));
    for group in 0..g.groups {
        let block =
            PatchBlock { pixels: first..first + n_rows, positions: 0..g.window.area(), group };
        im2col::gather(g, x, block, patches);
        let columns = group * g.co_per_group();
        product(
            [n_rows, g.co_per_group(), n_columns],
            &mut y[columns..],
            g.co,
            Matrix::rows(patches, n_columns),
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
