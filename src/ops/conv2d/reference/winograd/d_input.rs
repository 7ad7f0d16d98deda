//! The gradient of the input: a convolution of d_y with the rotated kernel, from the output channels to the input
//! channels.

use super::convolve::{Convolution, Output, scratch_elements};
use super::kernel;
use super::tiles::Tiling;
use crate::kernel::Real;
use crate::kernel::cpu::parallel::for_each_chunk;
use crate::ops::conv2d::ConvGeometry;
use crate::ops::conv2d::reference::pooled::{unpool, unpooled_elements};
use crate::tape::{Args, ScratchSize, TransformSize};

/// Returns the tiles of the gradient. Its source is the gradient of the output before the pool.
fn tiling(g: &ConvGeometry) -> Tiling {
    let padding = g.window.padding.map(|padding| 2 - padding);
    let tiles = g.plane.map(|extent| extent.div_ceil(2));
    Tiling { n: g.n, plane: g.out, padding, out: g.plane, tiles }
}

/// Returns the number of rows of tiles of a task. With a pool, a task computes whole images, because only whole images
/// are unpooled.
fn task_rows(g: &ConvGeometry, tiling: &Tiling) -> usize {
    if g.rows_per_pixel() > 1 { tiling.image_rows() } else { tiling.task_rows() }
}

fn n_unpooled(g: &ConvGeometry, tiling: &Tiling) -> usize {
    unpooled_elements(g, g.rows_per_pixel() > 1, task_rows(g, tiling) / tiling.tiles[0])
}

/// Returns the size of the scratch memory.
pub fn scratch(g: &ConvGeometry) -> ScratchSize {
    let tiling = tiling(g);
    let per_thread = n_unpooled(g, &tiling) + scratch_elements(&tiling, [g.co, g.ci]);
    let transform = TransformSize { input: 0, n: 16 * g.ci * g.co };
    ScratchSize { per_thread, transform, ..ScratchSize::default() }
}

/// Computes the gradient of the input.
pub fn run<T: Real>(g: &ConvGeometry, args: Args<'_, T>) {
    let (weight, d_y) = (args.inputs[0].real(), args.inputs[1].real());
    let index = (g.rows_per_pixel() > 1).then(|| args.inputs[2].words());
    let d_x = args.outputs[0].real();
    let transform = |kernel: &mut [T]| kernel::transform_rotated(weight, [g.ci, g.co], kernel);
    let kernel = args.scratch.transform.get(16 * g.ci * g.co, transform);
    let tiling = tiling(g);
    let convolution = Convolution { tiling, channels: [g.co, g.ci], kernel, bias: None };
    let threads = args.scratch.threads;
    let task_rows = task_rows(g, &tiling);
    for_each_chunk(d_x, tiling.first_pixel(task_rows) * g.ci, &|task, d_x| {
        let first = task * task_rows;
        let rows = first..(first + task_rows).min(tiling.n_rows());
        threads.with(|scratch| {
            let (buffer, scratch) = scratch.split_at_mut(n_unpooled(g, &tiling));
            let output = Output::Pixels(d_x);
            if index.is_none() {
                return convolution.run(d_y, rows, scratch, output);
            }
            let images = rows.start / tiling.tiles[0]..rows.end / tiling.tiles[0];
            let d_out = unpool(g, d_y, index, images, buffer);
            convolution.run(d_out, 0..rows.len(), scratch, output);
        });
    });
}
