//! The forward pass: `y = patches · weight`.

use super::direct::{Direct, Source};
use super::pooled::pool_images;
use super::product::multiply;
use super::winograd;
use crate::kernel::Real;
use crate::kernel::cpu::matmul::Matrix;
use crate::kernel::cpu::parallel::{
    for_each_chunk, for_each_chunk_of_three, for_each_chunk_of_two,
};
use crate::ops::conv2d::im2col::{self, Patches};
use crate::ops::conv2d::mean_m2::PARTITION_ROWS;
use crate::ops::conv2d::winograd::pays_on_cpu;
use crate::ops::conv2d::{Conv2dForward, ConvGeometry};
use crate::ops::mean_m2;
use crate::tape::{Args, NodeIo, Reference, Scratch, ScratchSize, SliceMut, ThreadScratch};

/// Least number of tasks of whole partitions.
const MIN_TASKS: usize = 8;

/// Returns the number of elements of the output before the fused pool, for the images of a task.
fn unpooled_elements(g: &ConvGeometry) -> usize {
    im2col::images_per_block(g) * g.out[0] * g.out[1] * g.co
}

impl Reference for Conv2dForward {
    fn scratch(&self, io: &NodeIo<'_>) -> ScratchSize {
        let g = self.geometry(io);
        if self.winograd && pays_on_cpu(&g, self.pool) {
            return winograd::forward::scratch(&g);
        }
        let unpooled = if self.pool.is_some() { unpooled_elements(&g) } else { 0 };
        if let Some(direct) = Direct::forward(&g) {
            let scratch = direct.scratch();
            return ScratchSize { per_thread: scratch.per_thread + unpooled, ..scratch };
        }
        let patches = Patches::forward(&g);
        let rows = patches.block_rows().next_multiple_of(PARTITION_ROWS);
        let per_thread = patches.buffer(rows, g.window.area()) + unpooled;
        ScratchSize { per_thread, ..ScratchSize::default() }
    }

    fn run<T: Real>(&self, args: Args<'_, T>) {
        let g = self.geometry(&args.io);
        if self.winograd && pays_on_cpu(&g, self.pool) {
            return winograd::forward::run(&g, self.has_bias, args);
        }
        let (x, weight) = (args.inputs[0].real(), args.inputs[1].real());
        let Scratch { shared, threads, .. } = args.scratch;
        let (y, rest) = args.outputs.split_first_mut().expect("conv2d has an output");
        let (index, mean_m2) = rest.split_at_mut(usize::from(self.pool.is_some()));
        let (y, mean_m2) = (y.real(), mean_m2.first_mut().map(SliceMut::real));
        let bias = self.has_bias.then(|| args.inputs[2].real());
        let direct = Direct::forward(&g);
        let algorithm = match &direct {
            None => Algorithm::Products(weight),
            Some(direct) => Algorithm::Direct(direct, direct.pack_weight(weight, shared)),
        };
        if let Some(index) = index.first_mut() {
            return convolve_and_pool(&g, &algorithm, x, y, index.words(), mean_m2, threads);
        }
        convolve_in_tasks(&g, algorithm.task_pixels(&g), y, mean_m2, &|first, y| {
            threads.with(|scratch| algorithm.convolve(&g, x, first, y, scratch));
            add_bias(y, bias);
        });
    }
}

/// The algorithm of the forward pass, and its weight.
enum Algorithm<'a, T> {
    Direct(&'a Direct, &'a [T]),
    Products(&'a [T]),
}

impl<T: Real> Algorithm<'_, T> {
    /// Returns the number of pixels of a task, and a number that is a multiple of a partition; None in place of the latter
    /// if there would be too few tasks of whole partitions. The number of pixels changes no bit of the output, because a
    /// pixel does not depend on the other pixels of its task.
    fn task_pixels(&self, g: &ConvGeometry) -> (usize, Option<usize>) {
        match self {
            Self::Direct(direct, _) => {
                let partition = PARTITION_ROWS / gcd(PARTITION_ROWS, g.out[1]);
                let rows = direct.task_rows(1).expect("tasks of any number of rows");
                let whole = direct.task_rows(partition).map(|rows| rows * g.out[1]);
                (rows * g.out[1], whole)
            }
            Self::Products(_) => {
                let rows = Patches::forward(g).block_rows();
                let whole = Some(rows.next_multiple_of(PARTITION_ROWS))
                    .filter(|&rows| g.n_pixels().div_ceil(rows) >= MIN_TASKS);
                (rows, whole)
            }
        }
    }

    /// Computes as many pixels of the output as `y` has, from pixel number `first` on. The direct convolution computes
    /// whole rows.
    fn convolve(&self, g: &ConvGeometry, x: &[T], first: usize, y: &mut [T], scratch: &mut [T]) {
        match *self {
            Self::Direct(direct, packed) => {
                direct.rows(Source::x(g, x), packed, first / g.out[1], y, scratch);
            }
            Self::Products(weight) => {
                let channels = g.co_per_group();
                let of_group = |group: usize| Matrix::strided(&weight[group * channels..], g.co);
                let sizes = [g.groups, channels];
                multiply(&Patches::forward(g), x, sizes, of_group, first, y, scratch);
            }
        }
    }
}

/// Computes the output, and mean and M2 if there is a batch norm after it. `compute` computes some pixels, from a first
/// one on. `pixels` is the number of pixels of a task, and a number that is a multiple of a partition. If the latter is
/// None, there would be too few tasks of whole partitions, and mean and M2 are computed afterwards.
fn convolve_in_tasks<T: Real>(
    g: &ConvGeometry,
    (pixels, whole): (usize, Option<usize>),
    y: &mut [T],
    mean_m2: Option<&mut [T]>,
    compute: &(dyn Fn(usize, &mut [T]) + Sync),
) {
    match (mean_m2, whole) {
        (Some(mean_m2), Some(pixels)) => {
            let mean_m2 = (mean_m2, mean_m2_elements(g, pixels));
            for_each_chunk_of_two((y, pixels * g.co), mean_m2, &|task, y, mean_m2| {
                compute(task * pixels, y);
                mean_m2_of_block(g, y, mean_m2);
            });
        }
        (mean_m2, _) => {
            for_each_chunk(y, pixels * g.co, &|task, y| compute(task * pixels, y));
            if let Some(mean_m2) = mean_m2 {
                mean_m2::of_partitions(y, g.partitions(), g.co, mean_m2);
            }
        }
    }
}

/// Returns the greatest common divisor.
fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Computes the output after the pool, and the index of each maximum. A task computes whole images, so memory holds the
/// tensor before the pool for only a few images at a time.
fn convolve_and_pool<T: Real>(
    g: &ConvGeometry,
    algorithm: &Algorithm<'_, T>,
    x: &[T],
    y: &mut [T],
    index: &mut [u32],
    mean_m2: Option<&mut [T]>,
    threads: ThreadScratch<'_, T>,
) {
    let (pixels, _) = algorithm.task_pixels(g);
    let n_images = im2col::images_per_block(g);
    let n_pooled = n_images * g.pooled[0] * g.pooled[1];
    let compute = |block: usize, y: &mut [T], index: &mut [u32]| {
        threads.with(|scratch| {
            let (unpooled, scratch) = scratch.split_at_mut(unpooled_elements(g));
            let n_pixels = y.len() / (g.pooled[0] * g.pooled[1] * g.co) * g.out[0] * g.out[1];
            let unpooled = &mut unpooled[..n_pixels * g.co];
            let first = block * n_images * g.out[0] * g.out[1];
            for (ix, unpooled) in unpooled.chunks_mut(pixels * g.co).enumerate() {
                algorithm.convolve(g, x, first + ix * pixels, unpooled, scratch);
            }
            pool_images(g, unpooled, y, index);
        });
    };
    let size = n_pooled * g.co;
    let is_whole_partitions = n_pooled.is_multiple_of(g.partitions().rows_each);
    match mean_m2 {
        Some(mean_m2) if is_whole_partitions => {
            let mean_m2 = (mean_m2, mean_m2_elements(g, n_pooled));
            for_each_chunk_of_three(
                (y, size),
                (index, size),
                mean_m2,
                &|block, y, index, mean_m2| {
                    compute(block, y, index);
                    mean_m2_of_block(g, y, mean_m2);
                },
            );
        }
        _ => {
            for_each_chunk_of_two((&mut *y, size), (index, size), &compute);
            if let Some(mean_m2) = mean_m2 {
                mean_m2::of_partitions(y, g.partitions(), g.co, mean_m2);
            }
        }
    }
}

/// Returns the number of elements of mean and M2 of the partitions of a block of `n_pixels` pixels of the output.
pub(super) fn mean_m2_elements(g: &ConvGeometry, n_pixels: usize) -> usize {
    n_pixels / g.partitions().rows_each * 2 * g.co
}

/// Computes mean and M2 of the partitions of a block of the output, while the block is in the cache.
pub(super) fn mean_m2_of_block<T: Real>(g: &ConvGeometry, y: &[T], mean_m2: &mut [T]) {
    let partitions = y.chunks(g.partitions().rows_each * g.co);
    let with_results = partitions.zip(mean_m2.chunks_mut(2 * g.co));
    with_results.for_each(|(rows, mean_m2)| mean_m2::of_rows(rows, mean_m2));
}

/// Adds the bias, if there is one, to all pixels.
fn add_bias<T: Real>(y: &mut [T], bias: Option<&[T]>) {
    if let Some(bias) = bias {
        for y in y.chunks_mut(bias.len()) {
            y.iter_mut().zip(bias).for_each(|(y, &b)| *y += b);
        }
    }
}
