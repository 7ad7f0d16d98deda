//! The choice of Winograd's algorithm F(2x2, 3x3) for a convolution with a 3x3 kernel and stride 1, and for its
//! gradients.
//!
//! Derivation: `docs/ops/conv2d.md`. The CPU's kernels are in `reference/winograd/`, the launches of a GPU in `launch.rs`.

pub(super) mod launch;

use std::ops::Range;

use super::{Conv2d, ConvGeometry};
use crate::kernel::{Kernels, Target};

/// Least number of input channels, and of output channels.
const MIN_CHANNELS: usize = 64;
/// Least number of pairs of an input and an output channel. With 64 -> 64 channels, the additional roundings brought
/// gradients of an attention module to 1.3e-4 of PyTorch's in f64; 1e-4 is the bound for every block of the family.
const MIN_PAIRS: usize = 64 * 128;
/// Least number of pixels of the output, over all images, for the CPU. With fewer, the transform of the weight takes
/// longer than the multiplications that it saves.
const MIN_PIXELS: usize = 256;

/// Returns true if the algorithm can compute a convolution with a weight of shape `[KH, KW, Ci/groups, Co]`, and saves
/// time on some device for some number of pixels.
pub(crate) fn fits(conv: &Conv2d, weight: &[usize]) -> bool {
    let window = &conv.window;
    let is_3x3 = window.size == [3, 3] && window.stride == [1, 1];
    let [padding_h, padding_w] = window.padding;
    let (ci, co) = (weight[2], weight[3]);
    is_3x3
        && padding_h.max(padding_w) <= 2
        && conv.groups == 1
        && ci.min(co) >= MIN_CHANNELS
        && ci * co >= MIN_PAIRS
}

/// Returns true if the algorithm takes less time on the CPU than the kernels that compute a convolution by its
/// definition. The choice depends on the shape alone, because the last digits of the results depend on it.
pub(super) fn pays_on_cpu(g: &ConvGeometry, pool: Option<[usize; 2]>) -> bool {
    pool.is_none_or(|pool| pool == [2, 2]) && g.n_pixels() >= MIN_PIXELS
}

/// Returns true if the algorithm takes less time on a GPU than the kernels that compute a convolution by its definition.
/// The choice depends on the shape and on the kind of adapter, and not on a measurement.
pub(super) fn pays_on_gpu(g: &ConvGeometry, pool: Option<[usize; 2]>, target: &Target) -> bool {
    let is_pool = pool.is_none_or(|pool| pool == [2, 2]);
    if target.kernels == Kernels::Naive || !is_pool || g.n_pixels() < MIN_PIXELS {
        return false;
    }
    let channels = g.ci.max(g.co).next_multiple_of(4);
    let tiles = g.plane.map(|extent| extent.div_ceil(2));
    let [tiles, y_tiles] = [tiles, tiles_of(g)].map(|[h, w]| h * w);
    let images = images_in_chunk(g).max(Parts::of(g).images);
    let largest = images * tiles.max(y_tiles) * channels;
    let largest = largest.max(g.ci.next_multiple_of(4) * g.co.next_multiple_of(4));
    64 * largest <= MAX_BYTES && target.is_software
}

/// Largest size of a scratch buffer, in bytes: every WebGPU adapter guarantees buffer bindings of this size.
const MAX_BYTES: usize = 128 << 20;
/// Largest size of the transformed tiles of x and y of a chunk of images, in bytes. One image is always allowed.
const CHUNK_BYTES: usize = 32 << 20;
/// Number of tiles of 128 x 128 sums of the gradient of the weight, over all parts, that keeps a large GPU busy.
const ENOUGH_TILES: usize = 512;
/// Least number of rows of a part of the sums.
const MIN_PART_ROWS: usize = 256;
/// Largest number of partial sums of the gradient of the weight, over all parts: 64 MiB of f32.
const MAX_PARTIALS: usize = 1 << 24;

/// Returns the rows and columns of tiles of an image of y. With a fused pool, a tile is a window of the pool.
fn tiles_of(g: &ConvGeometry) -> [usize; 2] {
    match g.rows_per_pixel() {
        1 => g.out.map(|extent| extent.div_ceil(2)),
        _ => g.pooled,
    }
}

/// Returns the number of images whose elements of x and y begin at multiples of 256 bytes, as WebGPU requires of a binding
/// of a part of a buffer.
fn aligned_images(g: &ConvGeometry) -> usize {
    let x = g.plane[0] * g.plane[1] * g.ci;
    let y = g.pooled[0] * g.pooled[1] * g.co;
    [x, y].map(|elements| 64 >> elements.trailing_zeros().min(6)).into_iter().max().unwrap_or(1)
}

/// Returns the largest number of images of a chunk.
fn images_in_chunk(g: &ConvGeometry) -> usize {
    let [h, w] = g.plane.map(|extent| extent.div_ceil(2));
    let [oh, ow] = tiles_of(g);
    let each = 64 * (g.ci + g.co) * (h * w).max(oh * ow);
    let n_chunks = g.n.div_ceil((CHUNK_BYTES / each).max(1));
    g.n.div_ceil(n_chunks).next_multiple_of(aligned_images(g)).min(g.n)
}

/// Returns the chunks of images that the forward pass and the gradient of the input compute one after another.
fn chunks(g: &ConvGeometry) -> impl Iterator<Item = Range<usize>> {
    let (n, each) = (g.n, images_in_chunk(g));
    (0..n).step_by(each).map(move |first| first..(first + each).min(n))
}

/// The parts of the images, for the sums of the gradient of the weight over all tiles (split-K). Each part has a sum of
/// its own. The parts depend on the shape alone, so the order of the sums is the same on every adapter.
#[derive(Clone, Copy, Debug)]
struct Parts {
    /// Number of images of a part; the last part may have fewer.
    images: usize,
    /// Number of tiles of an image.
    n_tiles: usize,
    /// Number of images of all parts.
    n: usize,
    /// Number of parts of a chunk.
    in_chunk: usize,
}

impl Parts {
    fn of(g: &ConvGeometry) -> Self {
        let [tiles_h, tiles_w] = tiles_of(g);
        let n_tiles = tiles_h * tiles_w;
        let n_sums = 16 * g.ci * g.co.next_multiple_of(4);
        let enough = ENOUGH_TILES.div_ceil(16 * g.ci.div_ceil(128) * g.co.div_ceil(128));
        let n_parts = enough.min((g.n * n_tiles).div_ceil(MIN_PART_ROWS));
        let of_chunk = images_in_chunk(g);
        let by_memory = (MAX_PARTIALS / n_sums).max(1);
        let images = g.n.div_ceil(n_parts).min(of_chunk).max(g.n.div_ceil(by_memory));
        let images = images.next_multiple_of(aligned_images(g)).min(g.n);
        Self { images, n_tiles, n: g.n, in_chunk: (of_chunk / images).max(1) }
    }

    /// Returns the number of parts.
    fn count(&self) -> usize {
        self.n.div_ceil(self.images)
    }

    /// Returns the number of rows of a part: one for each tile, and rows of zeros to a multiple of four.
    fn n_rows(&self) -> usize {
        (self.images * self.n_tiles).next_multiple_of(4)
    }
}

/// Returns the attribute that listings of the tape show for a node that may use the algorithm.
pub(super) fn attribute(winograd: bool) -> &'static str {
    if winograd { ", Winograd" } else { "" }
}
