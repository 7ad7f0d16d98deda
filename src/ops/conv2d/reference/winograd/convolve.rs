//! A convolution in tiles, for the forward pass and for the gradient of the input: transform, 16 matrix products,
//! inverse transform.

use std::ops::Range;

use super::tiles::{Tiling, four, pixels};
use crate::kernel::Real;
use crate::kernel::cpu::lanes::{LANES, lanes, rest, store, whole};
use crate::kernel::cpu::matmul::{Matrix, product};
use crate::ops::max_pool2d::greater_or_nan;

/// A convolution with a 3x3 kernel and stride 1.
#[derive(Clone, Copy)]
pub(super) struct Convolution<'a, T> {
    pub tiling: Tiling,
    /// Number of channels of the source and of the result.
    pub channels: [usize; 2],
    /// The transformed kernel: 16 matrices `[source channels, result channels]`.
    pub kernel: &'a [T],
    pub bias: Option<&'a [T]>,
}

/// The destination of the results of some rows of tiles.
pub(super) enum Output<'a, T> {
    /// All pixels.
    Pixels(&'a mut [T]),
    /// The maximum of each tile, and its position in the tile.
    Maxima(&'a mut [T], &'a mut [u32]),
}

/// Returns the number of elements of the scratch memory of [`Convolution::run`].
pub(super) fn scratch_elements(tiling: &Tiling, [from, to]: [usize; 2]) -> usize {
    let n_tiles = tiling.block_rows() * tiling.tiles[1];
    tiling.row_elements(from) + n_tiles * (4 * from + 16 * to)
}

impl<T: Real> Convolution<'_, T> {
    /// Computes the results of some rows of tiles, which are numbered over all images of `source`.
    pub fn run(&self, source: &[T], rows: Range<usize>, scratch: &mut [T], output: Output<'_, T>) {
        let block_rows = self.tiling.block_rows();
        let blocks = rows.clone().step_by(block_rows);
        let blocks = blocks.map(|start| start..(start + block_rows).min(rows.end));
        let to = self.channels[1];
        match output {
            Output::Pixels(y) => {
                let first = self.tiling.first_pixel(rows.start);
                for block in blocks {
                    let y = &mut y[(self.tiling.first_pixel(block.start) - first) * to..];
                    let products = self.products(source, block.clone(), scratch);
                    self.write_pixels::<LANES>(whole(to), products, block.clone(), y);
                    self.write_pixels::<1>(rest(to), products, block, y);
                }
            }
            Output::Maxima(y, index) => {
                for block in blocks {
                    let start = (block.start - rows.start) * self.tiling.tiles[1] * to;
                    let (y, index) = (&mut y[start..], &mut index[start..]);
                    let products = self.products(source, block, scratch);
                    write_maxima::<T, LANES>(whole(to), products, to, y, index);
                    write_maxima::<T, 1>(rest(to), products, to, y, index);
                }
            }
        }
    }

    /// Returns the products of the transformed tiles and the transformed kernel: 16 matrices `[tiles, result channels]`.
    fn products<'s>(&self, source: &[T], rows: Range<usize>, scratch: &'s mut [T]) -> &'s [T] {
        let [from, to] = self.channels;
        let n_tiles = rows.len() * self.tiling.tiles[1];
        let (row, scratch) = scratch.split_at_mut(self.tiling.row_elements(from));
        let (transformed, products) = scratch.split_at_mut(4 * n_tiles * from);
        let products = &mut products[..16 * n_tiles * to];
        for (i, products) in products.chunks_mut(4 * n_tiles * to).enumerate() {
            self.tiling.source_tiles(source, from, rows.clone(), i, row, transformed);
            let left = transformed.chunks(n_tiles * from);
            let kernel = self.kernel[4 * i * from * to..].chunks(from * to);
            for ((left, kernel), made) in left.zip(kernel).zip(four(products, n_tiles * to)) {
                let (left, kernel) = (Matrix::rows(left, from), Matrix::rows(kernel, to));
                product([n_tiles, to, from], made, to, left, kernel, false);
            }
        }
        products
    }

    /// Writes the pixels of some rows of tiles, and adds the bias, `L` channels at a time.
    fn write_pixels<const L: usize>(
        &self,
        channels: Range<usize>,
        products: &[T],
        rows: Range<usize>,
        y: &mut [T],
    ) {
        let Tiling { out: [oh, ow], tiles: [tile_rows, tile_columns], .. } = self.tiling;
        let (to, size, first) =
            (self.channels[1], products.len() / 16, self.tiling.first_pixel(rows.start));
        for (ix, row) in rows.enumerate() {
            let n_below = oh.min(row % tile_rows * 2 + 2) - row % tile_rows * 2;
            for tx in 0..tile_columns {
                let tile = (ix * tile_columns + tx) * to;
                let corner = self.tiling.first_pixel(row) - first + 2 * tx;
                let n_right = ow.min(2 * tx + 2) - 2 * tx;
                for c in channels.clone().step_by(L) {
                    let made: [[T; L]; 4] = pixels(products, size, tile + c);
                    let bias: [T; L] = self.bias.map_or([T::ZERO; L], |bias| lanes(bias, c));
                    for (at, mut made) in made.into_iter().enumerate() {
                        let (below, right) = (at / 2, at % 2);
                        if below < n_below && right < n_right {
                            (0..L).for_each(|l| made[l] += bias[l]);
                            store(y, (corner + below * ow + right) * to + c, made);
                        }
                    }
                }
            }
        }
    }
}

/// Writes the maximum of every tile, and its position in the tile, `L` channels at a time. The maximum of equal values
/// is the first. NaN counts as larger than any number.
fn write_maxima<T: Real, const L: usize>(
    channels: Range<usize>,
    products: &[T],
    to: usize,
    y: &mut [T],
    index: &mut [u32],
) {
    let size = products.len() / 16;
    for tile in (0..size).step_by(to) {
        for c in channels.clone().step_by(L) {
            let made: [[T; L]; 4] = pixels(products, size, tile + c);
            let (mut largest, mut at_largest) = (made[0], [0; L]);
            for (at, made) in made.iter().enumerate().skip(1) {
                for l in 0..L {
                    let greater = greater_or_nan(made[l], largest[l]);
                    largest[l] = if greater { made[l] } else { largest[l] };
                    at_largest[l] = if greater { at as u32 } else { at_largest[l] };
                }
            }
            store(y, tile + c, largest);
            store(index, tile + c, at_largest);
        }
    }
}
