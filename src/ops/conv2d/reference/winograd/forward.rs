//! The forward pass, alone or with the fused max pool, mean and M2.

use super::convolve::{Convolution, Output, scratch_elements};
use super::kernel;
use super::tiles::Tiling;
use crate::kernel::Real;
use crate::kernel::cpu::parallel::{
    for_each_chunk, for_each_chunk_of_three, for_each_chunk_of_two,
};
use crate::ops::conv2d::ConvGeometry;
use crate::ops::conv2d::reference::forward::{mean_m2_elements, mean_m2_of_block};
use crate::ops::mean_m2;
use crate::tape::{Args, ScratchSize, SliceMut, TransformSize};

/// Returns the tiles of the output. With a pool, each window is a tile.
pub(super) fn tiling(g: &ConvGeometry) -> Tiling {
    let tiles =
        if g.rows_per_pixel() == 1 { g.out.map(|extent| extent.div_ceil(2)) } else { g.pooled };
    Tiling { n: g.n, plane: g.plane, padding: g.window.padding, out: g.out, tiles }
}

/// Returns the size of the scratch memory.
pub fn scratch(g: &ConvGeometry) -> ScratchSize {
    let per_thread = scratch_elements(&tiling(g), [g.ci, g.co]);
    let transform = TransformSize { input: 1, n: 16 * g.ci * g.co };
    ScratchSize { per_thread, transform, ..ScratchSize::default() }
}

/// Computes the output, and of fused ops the index of each maximum, mean and M2.
pub fn run<T: Real>(g: &ConvGeometry, has_bias: bool, args: Args<'_, T>) {
    let (x, weight) = (args.inputs[0].real(), args.inputs[1].real());
    let transform = |kernel: &mut [T]| kernel::transform(weight, kernel);
    let kernel = args.scratch.transform.get(16 * g.ci * g.co, transform);
    let tiling = tiling(g);
    let bias = has_bias.then(|| args.inputs[2].real());
    let convolution = Convolution { tiling, channels: [g.ci, g.co], kernel, bias };
    let threads = args.scratch.threads;

    let (y, rest) = args.outputs.split_first_mut().expect("conv2d has an output");
    let has_pool = g.rows_per_pixel() > 1;
    let (index, mean_m2) = rest.split_at_mut(usize::from(has_pool));
    let (y, mut mean_m2) = (y.real(), mean_m2.first_mut().map(SliceMut::real));
    let task_rows = tiling.task_rows();
    let n_pixels = if has_pool { task_rows * g.pooled[1] } else { tiling.first_pixel(task_rows) };
    let size = n_pixels * g.co;
    let run = |task: usize, output: Output<'_, T>| {
        let first = task * task_rows;
        let rows = first..(first + task_rows).min(tiling.n_rows());
        threads.with(|scratch| convolution.run(x, rows, scratch, output));
    };
    // A task of whole partitions also computes their mean and M2, while its pixels are in the cache.
    let is_whole_partitions = n_pixels.is_multiple_of(g.partitions().rows_each);
    let in_tasks = mean_m2.take_if(|_| is_whole_partitions);
    let in_tasks = in_tasks.map(|mean_m2| (mean_m2, mean_m2_elements(g, n_pixels)));
    match (index.first_mut().map(SliceMut::words), in_tasks) {
        (None, None) => for_each_chunk(y, size, &|task, y| run(task, Output::Pixels(y))),
        (None, Some(mean_m2)) => for_each_chunk_of_two((y, size), mean_m2, &|task, y, mean_m2| {
            run(task, Output::Pixels(y));
            mean_m2_of_block(g, y, mean_m2);
        }),
        (Some(index), None) => {
            for_each_chunk_of_two((y, size), (index, size), &|task, y, index| {
                run(task, Output::Maxima(y, index));
            })
        }
        (Some(index), Some(mean_m2)) => for_each_chunk_of_three(
            (y, size),
            (index, size),
            mean_m2,
            &|task, y, index, mean_m2| {
                run(task, Output::Maxima(y, index));
                mean_m2_of_block(g, y, mean_m2);
            },
        ),
    }
    if let Some(mean_m2) = mean_m2 {
        mean_m2::of_partitions(y, g.partitions(), g.co, mean_m2);
    }
}
