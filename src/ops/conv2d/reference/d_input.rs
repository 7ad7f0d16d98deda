//! The gradient of the input: `d_patches = d_y · weightᵀ`. Each element of d_patches is then added to the pixel that
//! im2col copies to this place of the patches.

use std::ops::Range;

use super::pooled::{unpool, unpooled_elements};
use super::winograd;
use crate::kernel::Real;
use crate::kernel::cpu::matmul::{Matrix, product};
use crate::kernel::cpu::parallel::for_each_chunk;
use crate::ops::conv2d::im2col::{self, PatchBlock};
use crate::ops::conv2d::winograd::pays_on_cpu;
use crate::ops::conv2d::{Conv2dDInput, ConvGeometry};
use crate::tape::{Args, NodeIo, Reference, ScratchSize};

impl Reference for Conv2dDInput {
    fn scratch(&self, io: &NodeIo<'_>) -> ScratchSize {
        let g = self.geometry(io.input_shape(0), io.input_shape(1));
        if self.winograd && pays_on_cpu(&g, self.pool) {
            return winograd::d_input::scratch(&g);
        }
        let unpooled = unpooled_elements(&g, self.pool.is_some(), im2col::images_per_block(&g));
        let patches = im2col::block_rows(&g) * im2col::n_columns(&g);
        ScratchSize { shared: io.input(0).n_elements(), per_thread: unpooled + patches }
    }

    fn run<T: Real>(&self, args: Args<'_, T>) {
        let g = self.geometry(args.io.input_shape(0), args.io.input_shape(1));
        if self.winograd && pays_on_cpu(&g, self.pool) {
            return winograd::d_input::run(&g, args);
        }
        let (weight, d_y) = (args.inputs[0].real(), args.inputs[1].real());
        let index = self.pool.map(|_| args.inputs[2].words());
        let d_x = args.outputs[0].real();
        let threads = args.scratch.threads;
        let transposed = &mut args.scratch.shared[..weight.len()];
        transpose(weight, g.co, transposed);
        let transposed = &*transposed;
        // A task computes whole images, because the patches of neighbouring pixels overlap.
        let n_images = im2col::images_per_block(&g);
        let image = g.plane[0] * g.plane[1] * g.ci;
        for_each_chunk(d_x, n_images * image, &|task, d_x| {
            d_x.fill(T::ZERO);
            let first = task * n_images;
            let images = first..first + d_x.len() / image;
            threads.with(|scratch| {
                let n_unpooled = unpooled_elements(&g, index.is_some(), n_images);
                let (buffer, patches) = scratch.split_at_mut(n_unpooled);
                let d_out = unpool(&g, d_y, index, images, buffer);
                let n_pixels = g.out[0] * g.out[1];
                let rows = im2col::block_rows(&g);
                for (block, d_out) in d_out.chunks(rows * g.co).enumerate() {
                    let start = first * n_pixels + block * rows;
                    let pixels = start..start + d_out.len() / g.co;
                    scatter_block(&g, transposed, d_out, pixels, patches, (d_x, first * image));
                }
            });
        });
    }
}

/// Writes the weight `[KH, KW, Ci/groups, Co]` with its last axis first: the fastest layout for the matrix product.
fn transpose<T: Real>(weight: &[T], co: usize, transposed: &mut [T]) {
    /// Number of output channels of a task.
    const CHANNELS: usize = 16;
    let n_rows = weight.len() / co;
    for_each_chunk(transposed, CHANNELS * n_rows, &|task, transposed| {
        for (row, weight) in weight.chunks(co).enumerate() {
            let weight = &weight[task * CHANNELS..];
            for (transposed, &w) in transposed.chunks_mut(n_rows).zip(weight) {
                transposed[row] = w;
            }
        }
    });
}

/// Computes a block of d_patches and adds it to `d_x`. The first element of `d_x` has the index `origin` in the whole
/// tensor.
fn scatter_block<T: Real>(
    g: &ConvGeometry,
    transposed: &[T],
    d_out: &[T],
    pixels: Range<usize>,
    patches: &mut [T],
    (d_x, origin): (&mut [T], usize),
) {
    let n_columns = im2col::n_columns(g);
    for group in 0..g.groups {
        let channels = group * g.co_per_group();
        product(
            [pixels.len(), n_columns, g.co_per_group()],
            patches,
            n_columns,
            Matrix::strided(&d_out[channels..], g.co),
            Matrix::rows(&transposed[channels * n_columns..], n_columns),
            false,
        );
        let block = PatchBlock { pixels: pixels.clone(), positions: 0..g.window.area(), group };
        im2col::scatter_add(g, patches, block, d_x, origin);
    }
}
