//! `y = patches · weight`.

use rayon::prelude::*;

use super::pooled::pool_images;
use crate::device::cpu::matmul::{Matrix, product};
use crate::ops::conv2d::im2col::{self, Part};
use crate::ops::conv2d::{Conv2dForward, Geometry};
use crate::ops::{Args, Real, Reference, ScratchSize};
use crate::tape::NodeIo;

/// Elements of the output of a convolution whose pool is fused, before the pool, for the images that a
/// task makes.
fn unpooled_elements(g: &Geometry) -> usize {
    im2col::images_per_block(g) * g.out[0] * g.out[1] * g.co
}

impl Reference for Conv2dForward {
    fn scratch(&self, io: &NodeIo<'_>) -> ScratchSize {
        let g = self.geometry(io);
        let patches = im2col::block_rows(&g) * im2col::n_columns(&g);
        let unpooled = if self.pool.is_some() { unpooled_elements(&g) } else { 0 };
        ScratchSize { shared: 0, per_thread: patches + unpooled }
    }

    fn run<T: Real>(&self, args: Args<'_, T>) {
        let g = self.geometry(&args.io);
        let (x, weight) = (args.inputs[0].real(), args.inputs[1].real());
        let bias = self.has_bias.then(|| args.inputs[2].real());
        let threads = args.scratch.threads;
        let (y, rest) = args.outputs.split_first_mut().expect("conv2d has an output");
        let y = y.real();
        let rows = im2col::block_rows(&g);
        if self.pool.is_none() {
            y.par_chunks_mut(rows * g.co).enumerate().for_each(|(block, y)| {
                threads.with(|patches| convolve(&g, x, weight, bias, block * rows, y, patches));
            });
            return;
        }
        // A task makes whole images: the tensor before the pool exists for a few at a time.
        let n_images = im2col::images_per_block(&g);
        let pooled = n_images * g.pooled[0] * g.pooled[1] * g.co;
        let index = rest[0].words().par_chunks_mut(pooled);
        y.par_chunks_mut(pooled).zip(index).enumerate().for_each(|(task, (y, index))| {
            threads.with(|scratch| {
                let (unpooled, patches) = scratch.split_at_mut(unpooled_elements(&g));
                let n_pixels = y.len() / (g.pooled[0] * g.pooled[1] * g.co) * g.out[0] * g.out[1];
                let unpooled = &mut unpooled[..n_pixels * g.co];
                let first = task * n_images * g.out[0] * g.out[1];
                for (block, unpooled) in unpooled.chunks_mut(rows * g.co).enumerate() {
                    convolve(&g, x, weight, None, first + block * rows, unpooled, patches);
                }
                pool_images(&g, unpooled, y, index);
            });
        });
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
    patches: &mut [T],
) {
    let (n_rows, n_columns) = (y.len() / g.co, im2col::n_columns(g));
    for group in 0..g.groups {
        let part = Part { pixels: first..first + n_rows, positions: 0..g.window.area(), group };
        im2col::gather(g, x, part, patches);
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
