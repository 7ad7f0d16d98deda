//! The tiles of a convolution, and the transforms between pixels and tiles.
//!
//! A tile is 2x2 pixels of the result, and depends on 4x4 pixels of the source. The transformed tiles are 16 matrices:
//! one for each position (i, j) in a transformed tile, with one row for each tile and one column for each channel. A
//! transform computes the four matrices of one i at a time.

use std::array::from_fn;
use std::ops::Range;

use crate::kernel::Real;
use crate::kernel::cpu::lanes::{LANES, lanes, rest, store, whole};
use crate::ops::conv2d::mean_m2::PARTITION_ROWS;

/// Number of tiles of a block. The matrix product packs the kernel once per block, and many tiles share that cost.
const BLOCK_TILES: usize = 256;
/// Least number of blocks, for several threads, unless a block would have fewer than [`FEW_TILES`] tiles.
const MIN_BLOCKS: usize = 2;
/// Least number of tiles of a block, if there are so many.
const FEW_TILES: usize = 64;

/// The tiles of a convolution with a 3x3 kernel and stride 1 of images `[N, H, W, C]`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tiling {
    /// Number of images.
    pub n: usize,
    /// `[H, W]` of the source.
    pub plane: [usize; 2],
    /// Rows of padding above the source, and columns left of it.
    pub padding: [usize; 2],
    /// `[OH, OW]` of the result.
    pub out: [usize; 2],
    /// Rows and columns of tiles of an image.
    pub tiles: [usize; 2],
}

impl Tiling {
    /// Returns the number of rows of tiles of all images.
    pub fn n_rows(&self) -> usize {
        self.n * self.tiles[0]
    }

    /// Returns the number of the first pixel of a row of tiles in the result. Rows of tiles and pixels are numbered over
    /// all images.
    pub fn first_pixel(&self, row: usize) -> usize {
        let ([oh, ow], tile_rows) = (self.out, self.tiles[0]);
        (row / tile_rows * oh + row % tile_rows * 2) * ow
    }

    /// Returns the number of rows of tiles of a block. It depends on the shape alone. The rows have whole partitions of
    /// mean and M2, if so many rows make a block.
    pub fn block_rows(&self) -> usize {
        let [_, columns] = self.tiles;
        let n_tiles = self.n_rows() * columns;
        let n_tiles = BLOCK_TILES.min(n_tiles.div_ceil(MIN_BLOCKS).max(FEW_TILES));
        let rows = (n_tiles / columns).clamp(1, self.n_rows());
        let in_row = 4 * columns;
        let whole_partitions =
            PARTITION_ROWS >> in_row.trailing_zeros().min(PARTITION_ROWS.ilog2());
        if rows < whole_partitions { rows } else { rows - rows % whole_partitions }
    }

    /// Returns the number of rows of tiles whose pixels are contiguous in the result: a block, or whole images if the
    /// last row of tiles of an image has only one row of pixels.
    pub fn task_rows(&self) -> usize {
        match self.tiles[0] * 2 <= self.out[0] {
            true => self.block_rows(),
            false => self.image_rows(),
        }
    }

    /// Returns the number of rows of tiles of a task that computes whole images.
    pub fn image_rows(&self) -> usize {
        (self.block_rows() / self.tiles[0]).max(1) * self.tiles[0]
    }

    /// Returns the number of elements of a row of pixels that [`source_tiles`](Self::source_tiles) transforms.
    pub fn row_elements(&self, channels: usize) -> usize {
        (2 * self.tiles[1] + 2) * channels
    }

    /// Writes row `i` of `Bᵀ · tile · B` for some rows of tiles: four matrices `[tiles, C]`, one after another. The
    /// rows of tiles are numbered over all images. `row` is scratch memory of [`row_elements`](Self::row_elements).
    pub fn source_tiles<T: Real>(
        &self,
        source: &[T],
        channels: usize,
        rows: Range<usize>,
        i: usize,
        row: &mut [T],
        matrices: &mut [T],
    ) {
        let n_columns = self.tiles[1];
        let row = &mut row[..self.row_elements(channels)];
        let matrices = four(matrices, rows.len() * n_columns * channels);
        let mut matrices = Matrices { matrices, channels, first: 0 };
        for tile_row in rows {
            self.sum_of_rows(source, channels, tile_row, i, row);
            source_columns::<T, LANES>(whole(channels), row, n_columns, &mut matrices);
            source_columns::<T, 1>(rest(channels), row, n_columns, &mut matrices);
            matrices.first += n_columns;
        }
    }

    /// Writes row `i` of `Bᵀ · tile` for all tiles of a row: a sum or difference of two rows of the source, with zeros
    /// for the padding.
    fn sum_of_rows<T: Real>(
        &self,
        source: &[T],
        channels: usize,
        tile_row: usize,
        i: usize,
        row: &mut [T],
    ) {
        let [h, w] = self.plane;
        let (image, ty) = (tile_row / self.tiles[0], tile_row % self.tiles[0]);
        let source_row = |r: usize| {
            let y = (2 * ty + r).checked_sub(self.padding[0]).filter(|&y| y < h)?;
            Some(&source[(image * h + y) * w * channels..][..w * channels])
        };
        let left = (self.padding[1] * channels).min(row.len());
        let n = (row.len() - left).min(w * channels);
        row[..left].fill(T::ZERO);
        row[left + n..].fill(T::ZERO);
        // Bᵀ has the rows (1, 0, −1, 0), (0, 1, 1, 0), (0, −1, 1, 0) and (0, 1, 0, −1).
        let [a, b] = [[0, 2], [1, 2], [2, 1], [1, 3]][i].map(source_row);
        let combination = if i == 1 { Combination::Sum } else { Combination::Difference };
        combination.write(a, b, &mut row[left..left + n]);
    }
}

/// A combination of two rows.
#[derive(Clone, Copy)]
pub(super) enum Combination {
    /// `a + b`
    Sum,
    /// `a − b`
    Difference,
}

impl Combination {
    /// Writes the combination of two rows; None is a row of zeros.
    pub fn write<T: Real>(self, a: Option<&[T]>, b: Option<&[T]>, out: &mut [T]) {
        match (a, b, self) {
            (Some(a), Some(b), Self::Sum) => each(out, a, b, |a, b| a + b),
            (Some(a), Some(b), Self::Difference) => each(out, a, b, |a, b| a - b),
            (Some(row), None, _) | (None, Some(row), Self::Sum) => {
                out.copy_from_slice(&row[..out.len()]);
            }
            (None, Some(b), Self::Difference) => each(out, b, b, |_, b| -b),
            (None, None, _) => out.fill(T::ZERO),
        }
    }
}

fn each<T: Real>(out: &mut [T], a: &[T], b: &[T], combine: impl Fn(T, T) -> T) {
    out.iter_mut().zip(a.iter().zip(b)).for_each(|(out, (&a, &b))| *out = combine(a, b));
}

/// Divides the start of a slice into four parts of `size` elements.
pub(super) fn four<T>(values: &mut [T], size: usize) -> [&mut [T]; 4] {
    let mut parts = values.chunks_mut(size);
    from_fn(|_| parts.next().expect("four matrices"))
}

/// The four matrices `[tiles, C]` of transformed tiles for one i, and the number of the tile that is written next.
pub(super) struct Matrices<'a, T> {
    pub matrices: [&'a mut [T]; 4],
    pub channels: usize,
    pub first: usize,
}

impl<T: Real> Matrices<'_, T> {
    /// Writes `L` channels, from channel `c` on, of tile number `first + tile` into each matrix.
    #[inline]
    pub fn store<const L: usize>(&mut self, tile: usize, c: usize, values: [[T; L]; 4]) {
        let at = (self.first + tile) * self.channels + c;
        for (matrix, values) in self.matrices.iter_mut().zip(values) {
            store(matrix, at, values);
        }
    }
}

/// Multiplies a row of `Bᵀ · tile` by B, for some channels, `L` channels at a time.
fn source_columns<T: Real, const L: usize>(
    range: Range<usize>,
    row: &[T],
    n_columns: usize,
    matrices: &mut Matrices<'_, T>,
) {
    let channels = matrices.channels;
    for tile in 0..n_columns {
        for at in range.clone().step_by(L) {
            let start = 2 * tile * channels + at;
            let [a, b, c, d]: [[T; L]; 4] = from_fn(|k| lanes(row, start + k * channels));
            let made: [[T; L]; 4] = [
                from_fn(|l| a[l] - c[l]),
                from_fn(|l| b[l] + c[l]),
                from_fn(|l| c[l] - b[l]),
                from_fn(|l| b[l] - d[l]),
            ];
            matrices.store(tile, at, made);
        }
    }
}

/// Returns `Aᵀ · tile · A` for `L` channels: the four pixels of the result, row by row. `at` is the index of the first
/// channel in each of the 16 matrices, which have `size` elements.
#[inline]
pub(super) fn pixels<T: Real, const L: usize>(
    matrices: &[T],
    size: usize,
    at: usize,
) -> [[T; L]; 4] {
    // Aᵀ has the rows (1, 1, 1, 0) and (0, 1, −1, −1).
    let columns = |i: usize| -> [[T; L]; 2] {
        let [a, b, c, d]: [[T; L]; 4] = from_fn(|j| lanes(matrices, (4 * i + j) * size + at));
        [from_fn(|l| a[l] + b[l] + c[l]), from_fn(|l| b[l] - c[l] - d[l])]
    };
    let (mut top, mut bottom) = (columns(0), columns(1));
    let (plus, minus, last) = (bottom, columns(2), columns(3));
    for x in 0..2 {
        for l in 0..L {
            top[x][l] = top[x][l] + plus[x][l] + minus[x][l];
            bottom[x][l] = bottom[x][l] - minus[x][l] - last[x][l];
        }
    }
    [top[0], top[1], bottom[0], bottom[1]]
}
