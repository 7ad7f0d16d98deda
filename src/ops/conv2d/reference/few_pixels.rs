//! The gradient of the input for few pixels and many channels. A task is a range of input channels of all pixels.
//!
//! A block of pixels needs the whole weight, transposed, and the `gemm` crate packs it again for every block: with blocks
//! of 49 pixels, both take about as long as the products. Here, each element of the weight is transposed and packed once,
//! in the cache of the task's core. The results of the tasks are copied to the pixels of x afterwards.

use std::ops::Range;

use super::product::transpose;
use crate::kernel::Real;
use crate::kernel::cpu::matmul::{Matrix, product};
use crate::kernel::cpu::parallel::for_each_chunk;
use crate::ops::conv2d::ConvGeometry;
use crate::ops::conv2d::im2col::{PatchBlock, Patches};
use crate::tape::{Scratch, ScratchSize};

/// Number of input channels of a task: the rows that the `gemm` crate computes together with AVX-512, in f32.
const CHANNELS: usize = 48;
/// Number of output channels whose weights are transposed together: 96 KiB of f32, which fit a core's own cache.
const DEPTH: usize = 512;
/// Largest number of pixels of a phase, over all images.
const MAX_PIXELS: usize = 512;

/// Returns true if tasks of channels take less time than tasks of pixels. The choice depends on the shape alone, because
/// the order of the sums depends on it.
pub(super) fn pays(g: &ConvGeometry, has_pool: bool) -> bool {
    g.groups == 1 && !has_pool && g.ci >= 4 * CHANNELS && phase_pixels(g) <= MAX_PIXELS
}

/// Returns the largest number of pixels of a phase.
fn phase_pixels(g: &ConvGeometry) -> usize {
    Patches::phases(g).map(|patches| g.n * patches.rows_per_image()).max().unwrap_or(0)
}

/// Returns the number of elements of the patches of a phase, which are none if d_y is the matrix of patches.
fn patch_elements(g: &ConvGeometry, patches: &Patches) -> usize {
    patches.buffer(g.n * patches.rows_per_image(), patches.n_taps())
}

/// Returns the number of elements of the results: `[ranges, phases, pixels, CHANNELS]`.
fn n_results(g: &ConvGeometry) -> usize {
    n_phases(g) * g.ci.div_ceil(CHANNELS) * phase_pixels(g) * CHANNELS
}

fn n_phases(g: &ConvGeometry) -> usize {
    g.window.stride.iter().product()
}

/// Returns the size of the scratch memory.
pub(super) fn scratch(g: &ConvGeometry) -> ScratchSize {
    let patches: usize = Patches::phases(g).map(|patches| patch_elements(g, &patches)).sum();
    let per_thread = DEPTH.min(g.co) * CHANNELS;
    ScratchSize { per_thread, ..ScratchSize::shared(patches + n_results(g)) }
}

/// Computes the gradient of the input.
pub(super) fn run<T: Real>(
    g: &ConvGeometry,
    weight: &[T],
    d_y: &[T],
    d_x: &mut [T],
    scratch: Scratch<'_, T>,
) {
    let Scratch { shared, threads, .. } = scratch;
    let (results, buffer) = shared.split_at_mut(n_results(g));
    copy_patches(g, d_y, buffer);
    let (n_phases, size) = (n_phases(g), phase_pixels(g) * CHANNELS);
    for_each_chunk(results, size, &|task, result| {
        let (range, phase) = (task / n_phases, task % n_phases);
        let channels = range * CHANNELS..g.ci.min((range + 1) * CHANNELS);
        threads.with(|transposed| {
            multiply(g, weight, (d_y, buffer), phase, channels, result, transposed);
        });
    });
    for_each_chunk(d_x, g.plane[1] * g.ci, &|line, d_x| {
        let (image, row) = (line / g.plane[0], line % g.plane[0]);
        let [row_stride, column_stride] = g.window.stride;
        for first in 0..column_stride {
            let phase = row % row_stride * column_stride + first;
            let patches = nth_phase(g, phase);
            let [rows, columns] = patches.axes;
            let line = (image * rows.count + row / row_stride) * columns.count;
            for pixel in 0..columns.count {
                let d_x = &mut d_x[(first + pixel * column_stride) * g.ci..][..g.ci];
                if patches.n_taps() == 0 {
                    d_x.fill(T::ZERO);
                    continue;
                }
                for (range, d_x) in d_x.chunks_mut(CHANNELS).enumerate() {
                    let start = (range * n_phases + phase) * size + (line + pixel) * CHANNELS;
                    d_x.copy_from_slice(&results[start..start + d_x.len()]);
                }
            }
        }
    });
}

/// Returns the patches of phase number `phase`.
fn nth_phase(g: &ConvGeometry, phase: usize) -> Patches {
    Patches::phases(g).nth(phase).expect("the phase exists")
}

/// Copies the patches of every phase, one after another.
fn copy_patches<T: Real>(g: &ConvGeometry, d_y: &[T], mut buffer: &mut [T]) {
    for patches in Patches::phases(g) {
        let n_elements = patch_elements(g, &patches);
        let (of_phase, rest) = std::mem::take(&mut buffer).split_at_mut(n_elements);
        buffer = rest;
        let rows = patches.block_rows();
        for_each_chunk(of_phase, rows * patches.n_columns().max(1), &|block, buffer| {
            let pixels = block * rows..block * rows + buffer.len() / patches.n_columns();
            patches.matrix(d_y, PatchBlock { pixels, taps: 0..patches.n_taps(), group: 0 }, buffer);
        });
    }
}

/// Computes some channels of all pixels of a phase, `[pixels, CHANNELS]`.
fn multiply<T: Real>(
    g: &ConvGeometry,
    weight: &[T],
    (d_y, mut buffer): (&[T], &[T]),
    phase: usize,
    channels: Range<usize>,
    result: &mut [T],
    transposed: &mut [T],
) {
    for patches in Patches::phases(g).take(phase) {
        buffer = &buffer[patch_elements(g, &patches)..];
    }
    let patches = nth_phase(g, phase);
    let n_pixels = g.n * patches.rows_per_image();
    if n_pixels == 0 {
        return;
    }
    let source = if patches.is_source() { d_y } else { buffer };
    let [rows, columns] = patches.axes;
    for tap in 0..patches.n_taps() {
        let at = [rows.kernel(tap / columns.taps), columns.kernel(tap % columns.taps)];
        let position = at[0] * g.window.size[1] + at[1];
        let weight = &weight[(position * g.ci + channels.start) * g.co..];
        for first in (0..g.co).step_by(DEPTH) {
            let depth = DEPTH.min(g.co - first);
            transpose(&weight[first..], g.co, transposed, [depth, channels.len()]);
            product(
                [n_pixels, channels.len(), depth],
                result,
                CHANNELS,
                Matrix::strided(&source[tap * g.co + first..], patches.n_columns()),
                Matrix::rows(transposed, channels.len()),
                tap + first > 0,
            );
        }
    }
}
