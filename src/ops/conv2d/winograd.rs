//! The choice of Winograd's algorithm F(2x2, 3x3) for a convolution with a 3x3 kernel and stride 1, and for its
//! gradients.
//!
//! Derivation: `docs/ops/conv2d.md`. The CPU's kernels are in `reference/winograd/`, the launches of a GPU in
//! `winograd_launch.rs`.

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

/// The node of a convolution: the forward pass, or the gradient of the input or of the weight.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Of {
    Output,
    Input,
    Weight,
}

/// Least number of pixels of the output for a hardware GPU. With fewer, the transform of the weight takes as long as the
/// multiplications that it saves. This number and the next one are estimates by the roofline (docs/ops/conv2d.md).
const MIN_PIXELS_HARDWARE: usize = 4096;
/// Least value of `Ci·Co / (Ci + Co)` for a hardware GPU: the ratio of the multiplications that the algorithm saves and
/// the bytes that the transforms move.
const MIN_BALANCE_HARDWARE: usize = 256;
/// Largest size of a scratch buffer, in bytes: every WebGPU adapter guarantees buffer bindings of this size.
const MAX_BYTES: usize = 128 << 20;
/// Largest size of the transformed tiles of a chunk of images, of the source and of the result, in bytes. The fewest images
/// that begin at a multiple of 256 bytes are always allowed, one for most shapes.
const CHUNK_BYTES: usize = 32 << 20;

/// Returns true if the algorithm takes less time on a GPU than the kernels that compute a node by its definition. The
/// choice depends on the shape and on the kind of adapter, and not on a measurement.
pub(super) fn pays_on_gpu(
    node: Of,
    g: &ConvGeometry,
    pool: Option<[usize; 2]>,
    target: &Target,
) -> bool {
    let is_fast = target.kernels != Kernels::Naive && pool.is_none_or(|pool| pool == [2, 2]);
    is_fast && fits_memory(g) && pays_on(node, g, target.is_software)
}

/// Returns true if the algorithm saves time on an adapter of this kind.
fn pays_on(node: Of, g: &ConvGeometry, is_software: bool) -> bool {
    match is_software {
        true => g.n_pixels() >= MIN_PIXELS,
        false => {
            node != Of::Weight
                && g.n_pixels() >= MIN_PIXELS_HARDWARE
                && g.ci * g.co >= MIN_BALANCE_HARDWARE * (g.ci + g.co)
        }
    }
}

/// Returns true if every adapter can bind the scratch buffers.
fn fits_memory(g: &ConvGeometry) -> bool {
    let [ci, co] = [g.ci, g.co].map(|channels| channels.next_multiple_of(4));
    let parts = Parts::of(g);
    let n_images = images_in_chunk(g, CHUNK_BYTES).max(parts.images);
    let n_rows = (n_images * tiles_of_image(g)).next_multiple_of(4);
    let of_tiles = n_rows * ci.max(co);
    let of_sums = parts.count() * ci * co;
    64 * of_tiles.max(of_sums) <= MAX_BYTES
}

/// Returns the rows and columns of tiles of an image of y. With a fused pool, a tile is a window of the pool.
pub(super) fn tiles_of(g: &ConvGeometry) -> [usize; 2] {
    match g.rows_per_pixel() {
        1 => g.out.map(|extent| extent.div_ceil(2)),
        _ => g.pooled,
    }
}

/// Returns the number of tiles of an image, of x or y, whichever has more.
fn tiles_of_image(g: &ConvGeometry) -> usize {
    let of_x = g.plane.map(|extent| extent.div_ceil(2));
    let of_y = g.out.map(|extent| extent.div_ceil(2));
    [of_x, of_y].into_iter().map(|[h, w]| h * w).fold(0, usize::max)
}

/// Returns the number of images whose elements of x and y begin at multiples of 256 bytes, as WebGPU requires of a
/// binding of a part of a buffer.
fn aligned_images(g: &ConvGeometry) -> usize {
    let x = g.plane[0] * g.plane[1] * g.ci;
    let y = g.pooled[0] * g.pooled[1] * g.co;
    64 >> x.trailing_zeros().min(y.trailing_zeros()).min(6)
}

/// Returns the number of images whose transformed tiles have at most `bytes` bytes, at least 1.
fn images_of_bytes(g: &ConvGeometry, bytes: usize) -> usize {
    (bytes / (64 * (g.ci + g.co) * tiles_of_image(g))).max(1)
}

/// Returns the number of images of a chunk, for chunks of at most `bytes` bytes.
fn images_in_chunk(g: &ConvGeometry, bytes: usize) -> usize {
    let n_chunks = g.n.div_ceil(images_of_bytes(g, bytes));
    g.n.div_ceil(n_chunks).next_multiple_of(aligned_images(g)).min(g.n)
}

/// Returns the largest size of the transformed tiles of a chunk for a target, in bytes.
fn chunk_bytes(target: &Target) -> usize {
    target.max_segment.map_or(CHUNK_BYTES, |bytes| CHUNK_BYTES.min(bytes as usize))
}

/// Returns the chunks of images that the forward pass and the gradient of the input compute one after another. All have
/// the same number of images, except possibly the last.
pub(super) fn chunks(g: &ConvGeometry, target: &Target) -> impl Iterator<Item = Range<usize>> {
    let (n, each) = (g.n, images_in_chunk(g, chunk_bytes(target)));
    (0..n).step_by(each).map(move |first| first..(first + each).min(n))
}

/// Number of tiles of 128 x 128 sums of the gradient of the weight, over all parts, that keeps a large GPU busy.
const ENOUGH_TILES: usize = 512;
/// Least number of tiles of y in a part. With fewer, adding the partial sums would take longer than computing them.
const MIN_PART_TILES: usize = 256;
/// Largest number of partial sums of the gradient of the weight, over all parts: 64 MiB of f32.
const MAX_PARTIALS: usize = 1 << 24;

/// The parts of the images, for the sums of the gradient of the weight over all tiles (split-K). Each part has sums of
/// its own. The parts depend on the shape alone, so the order of the sums is the same on every adapter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parts {
    /// Number of images of a part; the last part may have fewer.
    pub images: usize,
    /// Number of tiles of an image of y.
    tiles: usize,
    /// Number of images of all parts.
    n: usize,
}

impl Parts {
    pub fn of(g: &ConvGeometry) -> Self {
        let [tiles_h, tiles_w] = tiles_of(g);
        let tiles = tiles_h * tiles_w;
        let n_tiles_of_sums = 16 * g.ci.div_ceil(128) * g.co.div_ceil(128);
        let enough = ENOUGH_TILES.div_ceil(n_tiles_of_sums);
        let n_parts = enough.min((g.n * tiles).div_ceil(MIN_PART_TILES));
        let by_memory = (MAX_PARTIALS / (16 * g.ci * g.co.next_multiple_of(4))).max(1);
        let images = g.n.div_ceil(n_parts).min(images_in_chunk(g, CHUNK_BYTES));
        let images = images.max(g.n.div_ceil(by_memory));
        Self { images: images.next_multiple_of(aligned_images(g)).min(g.n), tiles, n: g.n }
    }

    /// Returns the number of parts.
    pub fn count(&self) -> usize {
        self.n.div_ceil(self.images)
    }

    /// Returns the number of rows of a part: one for each tile, and rows of zeros to a multiple of four.
    pub fn n_rows(&self) -> usize {
        (self.images * self.tiles).next_multiple_of(4)
    }

    /// Returns the number of parts that are computed together.
    pub fn in_chunk(&self, g: &ConvGeometry, target: &Target) -> usize {
        let most = (images_of_bytes(g, chunk_bytes(target)) / self.images).max(1);
        let n_chunks = self.count().div_ceil(most);
        self.count().div_ceil(n_chunks)
    }
}

/// Returns the attribute that listings of the tape show for a node that may use the algorithm.
pub(super) fn attribute(winograd: bool) -> &'static str {
    if winograd { ", Winograd" } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the geometry of a 3x3 convolution of `n` images with padding 1.
    fn same(n: usize, side: usize, ci: usize, co: usize) -> ConvGeometry {
        ConvGeometry::new(&Conv2d::square(3, 1, 1), None, &[n, side, side, ci], &[3, 3, ci, co])
    }

    #[test]
    fn chunks_have_whole_images_and_parts_begin_at_multiples_of_256_bytes() {
        let sizes = |g: &ConvGeometry| -> Vec<usize> {
            chunks(g, &Target::default()).map(|images| images.len()).collect()
        };
        // An image of layer1 has 256 tiles, and 192 channels in V and M: 3 MiB.
        assert_eq!(sizes(&same(16, 32, 64, 128)), [8, 8]);
        assert_eq!(sizes(&same(21, 32, 64, 128)), [7, 7, 7]);
        assert_eq!(sizes(&same(16, 8, 64, 128)), [16]);
        assert_eq!(sizes(&same(3, 128, 64, 128)), [1, 1, 1], "one image is always allowed");
        // 33 * 33 * 64 elements are a multiple of 64, and 33 * 33 * 130 of 2: 32 images begin at a multiple of 256 bytes.
        assert_eq!(sizes(&same(40, 33, 64, 130)), [32, 8]);
    }

    #[test]
    fn parts_are_few_for_large_weights_and_fit_chunks() {
        let parts = |g: &ConvGeometry| {
            let parts = Parts::of(g);
            (parts.count(), parts.images, parts.n_rows())
        };
        assert_eq!(parts(&same(16, 32, 64, 128)), (16, 1, 256));
        assert_eq!(parts(&same(512, 4, 512, 512)), (4, 128, 512));
        assert_eq!(parts(&same(5, 17, 64, 128)), (2, 3, 244), "three images have 243 tiles");
        assert_eq!(parts(&same(2, 5, 64, 128)), (1, 2, 20), "18 tiles");
        let in_chunk = |g: &ConvGeometry| Parts::of(g).in_chunk(g, &Target::default());
        assert_eq!(in_chunk(&same(16, 32, 64, 128)), 8, "two chunks");
        assert_eq!(in_chunk(&same(5, 17, 64, 128)), 2);
        assert_eq!(in_chunk(&same(512, 4, 512, 512)), 1);
    }

    #[test]
    fn a_hardware_adapter_computes_only_many_channels_and_pixels_in_tiles() {
        let [software, hardware] =
            [true, false].map(|is_software| Target { is_software, ..Target::default() });
        let naive = Target { kernels: Kernels::Naive, ..software };
        let pays = |node, g, target: &Target| pays_on_gpu(node, &g, None, target);
        for node in [Of::Output, Of::Input, Of::Weight] {
            assert!(pays(node, same(16, 8, 64, 128), &software));
            assert!(!pays(node, same(3, 8, 64, 128), &software), "too few pixels");
            assert!(!pays(node, same(512, 8, 256, 512), &hardware));
            assert!(!pays(node, same(64, 4, 512, 512), &hardware), "too few pixels");
            assert!(!pays(node, same(1, 512, 64, 128), &software), "too large for a binding");
            let with_zero_rows = ConvGeometry {
                plane: [470, 194],
                out: [470, 194],
                pooled: [470, 194],
                ..same(1, 470, 92, 92)
            };
            assert!(
                !pays(node, with_zero_rows, &software),
                "too large with a part's rows of zeros"
            );
            assert!(!pays(node, same(16, 8, 64, 128), &naive));
            assert_eq!(pays(node, same(512, 4, 512, 512), &hardware), node != Of::Weight);
        }
    }
}
