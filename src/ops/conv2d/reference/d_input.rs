//! The gradient of the input: the same products as the forward pass, with patches of d_y and the transposed weight. With
//! a stride, each phase of the pixels has patches of its own ([`correlation`](crate::ops::conv2d::correlation)).

use std::ops::Range;

use super::direct::{Direct, Source};
use super::few_pixels;
use super::pooled::{unpool, unpooled_elements};
use super::product::{multiply, transpose};
use super::winograd;
use crate::kernel::Real;
use crate::kernel::cpu::matmul::Matrix;
use crate::kernel::cpu::parallel::for_each_chunk;
use crate::ops::conv2d::correlation::Axis;
use crate::ops::conv2d::im2col::{self, Patches};
use crate::ops::conv2d::winograd::pays_on_cpu;
use crate::ops::conv2d::{Conv2dDInput, ConvGeometry};
use crate::tape::{Args, NodeIo, Reference, Scratch, ScratchSize, ThreadScratch};

impl Reference for Conv2dDInput {
    fn scratch(&self, io: &NodeIo<'_>) -> ScratchSize {
        let g = self.geometry(io.input_shape(0), io.input_shape(1));
        if self.winograd && pays_on_cpu(&g, self.pool) {
            return winograd::d_input::scratch(&g);
        }
        if let Some(direct) = Direct::d_input(&g) {
            return direct.scratch();
        }
        if few_pixels::pays(&g, self.pool.is_some()) {
            return few_pixels::scratch(&g);
        }
        let unpooled = unpooled_elements(&g, self.pool.is_some(), im2col::images_per_block(&g));
        let buffers = Patches::phases(&g).map(|patches| {
            let rows = patches.block_rows();
            patches.buffer(rows, patches.n_taps()) + strided_elements(&g, rows)
        });
        let per_thread = unpooled + buffers.max().unwrap_or(0);
        ScratchSize { per_thread, ..ScratchSize::shared(io.input(0).n_elements()) }
    }

    fn run<T: Real>(&self, args: Args<'_, T>) {
        let g = self.geometry(args.io.input_shape(0), args.io.input_shape(1));
        if self.winograd && pays_on_cpu(&g, self.pool) {
            return winograd::d_input::run(&g, args);
        }
        let (weight, d_y) = (args.inputs[0].real(), args.inputs[1].real());
        let index = self.pool.map(|_| args.inputs[2].words());
        let d_x = args.outputs[0].real();
        let direct = Direct::d_input(&g);
        if direct.is_none() && few_pixels::pays(&g, self.pool.is_some()) {
            return few_pixels::run(&g, weight, d_y, d_x, args.scratch);
        }
        let Scratch { shared, threads, .. } = args.scratch;
        if let Some(direct) = direct {
            let (packed, d_y) = (direct.pack_weight(weight, shared), Source::d_y(&g, d_y, index));
            let rows = direct.task_rows(1).expect("tasks of any number of rows");
            return for_each_chunk(d_x, rows * direct.row_elements(), &|task, d_x| {
                threads.with(|scratch| direct.rows(d_y, packed, task * rows, d_x, scratch));
            });
        }
        let packed = &mut shared[..weight.len()];
        pack_weight(&g, weight, packed);
        compute(&g, (d_y, index), packed, d_x, threads);
    }
}

/// Number of rows of a matrix of the weight that a task transposes.
const PACKED_ROWS: usize = 64;

fn is_strided(g: &ConvGeometry) -> bool {
    g.window.stride != [1, 1]
}

/// Returns the number of elements of the result of a block, before it is copied to the pixels of its phase.
fn strided_elements(g: &ConvGeometry, rows: usize) -> usize {
    if is_strided(g) { rows * g.ci } else { 0 }
}

/// Writes the weight `[KH, KW, Ci/groups, Co]` as the matrices of all phases and groups: `[phases, groups, taps,
/// Co/groups, Ci/groups]`.
fn pack_weight<T: Real>(g: &ConvGeometry, weight: &[T], packed: &mut [T]) {
    let (ci, co) = (g.ci_per_group(), g.co_per_group());
    for_each_chunk(packed, ci * co, &|matrix, packed| {
        let (position, group) = position(g, matrix);
        let weight = &weight[position * ci * g.co + group * co..];
        for_each_chunk(packed, PACKED_ROWS * ci, &|task, packed| {
            let weight = &weight[task * PACKED_ROWS..];
            transpose(weight, g.co, packed, [packed.len() / ci, ci]);
        });
    });
}

/// Returns the position of the kernel and the group of matrix number `matrix` of the packed weight.
fn position(g: &ConvGeometry, mut matrix: usize) -> (usize, usize) {
    for patches in Patches::phases(g) {
        let n_taps = patches.n_taps();
        if matrix < g.groups * n_taps {
            let [rows, columns] = patches.axes;
            let (group, tap) = (matrix / n_taps, matrix % n_taps);
            let at = [rows.kernel(tap / columns.taps), columns.kernel(tap % columns.taps)];
            return (at[0] * g.window.size[1] + at[1], group);
        }
        matrix -= g.groups * n_taps;
    }
    unreachable!("every position of the kernel belongs to a phase")
}

/// Computes the gradient by matrix products. Without stride and pool, a task is a block of pixels; otherwise it is a
/// range of whole images.
fn compute<T: Real>(
    g: &ConvGeometry,
    (d_y, index): (&[T], Option<&[u32]>),
    packed: &[T],
    d_x: &mut [T],
    threads: ThreadScratch<'_, T>,
) {
    if !is_strided(g) && index.is_none() {
        let patches = Patches::d_input(g, [Axis::d_input(g, 0, 0), Axis::d_input(g, 1, 0)]);
        let rows = patches.block_rows();
        return for_each_chunk(d_x, rows * g.ci, &|task, d_x| {
            threads.with(|buffer| {
                multiply_phase(g, &patches, (d_y, packed), task * rows, d_x, buffer);
            });
        });
    }
    let n_images = im2col::images_per_block(g);
    let image = g.plane[0] * g.plane[1] * g.ci;
    for_each_chunk(d_x, n_images * image, &|task, d_x| {
        let images = task * n_images..task * n_images + d_x.len() / image;
        threads.with(|scratch| {
            let n_unpooled = unpooled_elements(g, index.is_some(), n_images);
            let (unpooled, buffer) = scratch.split_at_mut(n_unpooled);
            let all = images.clone();
            let d_out = match index {
                Some(_) => unpool(g, d_y, index, images, unpooled),
                None => {
                    let d_image = g.out[0] * g.out[1] * g.co;
                    &d_y[all.start * d_image..all.end * d_image]
                }
            };
            compute_images(g, d_out, packed, 0..all.len(), d_x, buffer);
        });
    });
}

/// Computes the gradient of whole images, phase after phase.
fn compute_images<T: Real>(
    g: &ConvGeometry,
    d_out: &[T],
    packed: &[T],
    images: Range<usize>,
    d_x: &mut [T],
    buffer: &mut [T],
) {
    let mut packed = packed;
    for patches in Patches::phases(g) {
        let weights;
        (weights, packed) = packed.split_at(g.groups * patches.n_columns() * g.ci_per_group());
        let n_pixels = images.len() * patches.rows_per_image();
        let rows = patches.block_rows();
        for first in (0..n_pixels).step_by(rows) {
            let pixels = first..n_pixels.min(first + rows);
            if !is_strided(g) {
                let d_x = &mut d_x[pixels.start * g.ci..pixels.end * g.ci];
                multiply_phase(g, &patches, (d_out, weights), first, d_x, buffer);
                continue;
            }
            let (result, buffer) = buffer.split_at_mut(strided_elements(g, rows));
            let result = &mut result[..pixels.len() * g.ci];
            multiply_phase(g, &patches, (d_out, weights), first, result, buffer);
            for (pixel, result) in pixels.zip(result.chunks_exact(g.ci)) {
                d_x[pixel_of_phase(g, &patches, pixel) * g.ci..][..g.ci].copy_from_slice(result);
            }
        }
    }
}

/// Returns the number of the pixel of x, over all images, that is pixel number `pixel` of a phase.
fn pixel_of_phase(g: &ConvGeometry, patches: &Patches, pixel: usize) -> usize {
    let [rows, columns] = patches.axes;
    let (image, row, column) = (
        pixel / patches.rows_per_image(),
        pixel / columns.count % rows.count,
        pixel % columns.count,
    );
    let (row, column) = (rows.first + row * rows.step, columns.first + column * columns.step);
    (image * g.plane[0] + row) * g.plane[1] + column
}

/// Computes some pixels of a phase, from its pixel number `first` on.
fn multiply_phase<T: Real>(
    g: &ConvGeometry,
    patches: &Patches,
    (d_out, weights): (&[T], &[T]),
    first: usize,
    result: &mut [T],
    buffer: &mut [T],
) {
    if patches.n_taps() == 0 {
        return result.fill(T::ZERO);
    }
    let channels = g.ci_per_group();
    let of_group =
        |group: usize| Matrix::rows(&weights[group * patches.n_columns() * channels..], channels);
    multiply(patches, d_out, [g.groups, channels], of_group, first, result, buffer);
}
