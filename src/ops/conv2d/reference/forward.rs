//! `y = patches · weight`.

use rayon::prelude::*;

use super::pooled::pool_images;
use crate::kernel::Real;
use crate::kernel::cpu::matmul::{Matrix, product};
use crate::ops::batch_norm::{all_slab_moments, slab_moments};
use crate::ops::conv2d::im2col::{self, PatchBlock};
use crate::ops::conv2d::moments::SLAB_ROWS;
use crate::ops::conv2d::{Conv2dForward, Geometry};
use crate::tape::{Args, NodeIo, Reference, ScratchSize, SliceMut, ThreadScratch};

/// Elements of the output of a convolution whose pool is fused, before the pool, for the images that a
/// task makes.
fn unpooled_elements(g: &Geometry) -> usize {
    im2col::images_per_block(g) * g.out[0] * g.out[1] * g.co
}

impl Reference for Conv2dForward {
    fn scratch(&self, io: &NodeIo<'_>) -> ScratchSize {
        let g = self.geometry(io);
        let patches = im2col::block_rows(&g).next_multiple_of(SLAB_ROWS) * im2col::n_columns(&g);
        let unpooled = if self.pool.is_some() { unpooled_elements(&g) } else { 0 };
        ScratchSize { shared: 0, per_thread: patches + unpooled }
    }

    fn run<T: Real>(&self, args: Args<'_, T>) {
        let g = self.geometry(&args.io);
        let (x, weight) = (args.inputs[0].real(), args.inputs[1].real());
        let threads = args.scratch.threads;
        let (y, rest) = args.outputs.split_first_mut().expect("conv2d has an output");
        let (index, moments) = rest.split_at_mut(usize::from(self.pool.is_some()));
        let (y, moments) = (y.real(), moments.first_mut().map(SliceMut::real));
        if let Some(index) = index.first_mut() {
            return convolve_and_pool(&g, x, weight, y, index.words(), moments, threads);
        }
        let bias = self.has_bias.then(|| args.inputs[2].real());
        // Whole slabs, so that a task has all that the moments of its own are made of. (A row's numbers do not depend on
        // the others of its block.)
        let rows = im2col::block_rows(&g).next_multiple_of(SLAB_ROWS);
        let blocks = y.par_chunks_mut(rows * g.co).enumerate();
        make_blocks(&g, blocks, moments, rows, |(block, y)| {
            threads.with(|patches| convolve(&g, x, weight, bias, block * rows, y, patches));
            y
        });
    }
}

/// The output behind the pool, and where its maxima were. A task makes whole images: the tensor before the pool
/// exists for a few at a time.
fn convolve_and_pool<T: Real>(
    g: &Geometry,
    x: &[T],
    weight: &[T],
    y: &mut [T],
    index: &mut [u32],
    mut moments: Option<&mut [T]>,
    threads: ThreadScratch<'_, T>,
) {
    let rows = im2col::block_rows(g);
    let n_images = im2col::images_per_block(g);
    let n_pooled = n_images * g.pooled[0] * g.pooled[1];
    let is_whole_slabs = n_pooled.is_multiple_of(g.pixels_per_slab());
    let on_the_way = if is_whole_slabs { moments.take() } else { None };
    let index = index.par_chunks_mut(n_pooled * g.co);
    let blocks = y.par_chunks_mut(n_pooled * g.co).zip(index).enumerate();
    make_blocks(g, blocks, on_the_way, n_pooled, |(block, (y, index))| {
        threads.with(|scratch| {
            let (unpooled, patches) = scratch.split_at_mut(unpooled_elements(g));
            let n_pixels = y.len() / (g.pooled[0] * g.pooled[1] * g.co) * g.out[0] * g.out[1];
            let unpooled = &mut unpooled[..n_pixels * g.co];
            let first = block * n_images * g.out[0] * g.out[1];
            for (part, unpooled) in unpooled.chunks_mut(rows * g.co).enumerate() {
                convolve(g, x, weight, None, first + part * rows, unpooled, patches);
            }
            pool_images(g, unpooled, y, index);
        });
        y
    });
    if let Some(moments) = moments {
        all_slab_moments(y, g.pixels_per_slab(), g.co, moments);
    }
}

/// Makes every block of `n_pixels` of the output, and the moments of its slabs, while it is in a cache.
fn make_blocks<'a, T: Real, B: IndexedParallelIterator>(
    g: &Geometry,
    blocks: B,
    moments: Option<&mut [T]>,
    n_pixels: usize,
    make: impl Fn(B::Item) -> &'a mut [T] + Sync + Send,
) {
    let Some(moments) = moments else {
        return blocks.for_each(|block| {
            make(block);
        });
    };
    let slab = g.pixels_per_slab();
    let moments = moments.par_chunks_mut(n_pixels / slab * 2 * g.co);
    blocks.zip(moments).for_each(|(block, moments)| {
        let slabs = make(block).chunks(slab * g.co);
        slabs.zip(moments.chunks_mut(2 * g.co)).for_each(|(slab, m)| slab_moments(slab, m));
    });
}

/// The output pixels from `first` on, as many as `y` holds.
fn convolve<T: Real>(
    g: &Geometry,
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
