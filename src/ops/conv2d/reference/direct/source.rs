//! Packed rows of the source.

use std::ops::Range;

use super::row::Columns;
use super::{Blocks, MAX_ROWS};
use crate::kernel::Real;
use crate::kernel::cpu::lanes::LANES;
use crate::kernel::cpu::prefetch::Ahead;
use crate::ops::conv2d::ConvGeometry;

/// The tensor that a direct convolution reads, `[N, H, W, C]`.
#[derive(Clone, Copy)]
pub struct Source<'a, T> {
    values: &'a [T],
    /// `[H, W]`.
    pub plane: [usize; 2],
    n_channels: usize,
    pool: Option<Pool<'a>>,
}

/// The fused pool whose gradient is the source: a window's gradient is at the pixel of its maximum.
#[derive(Clone, Copy)]
struct Pool<'a> {
    /// The position of the maximum in each window, `[N, pooled H, pooled W, C]`.
    index: &'a [u32],
    /// The size of a window.
    size: [usize; 2],
    /// The pooled plane.
    plane: [usize; 2],
}

impl<'a, T: Real> Source<'a, T> {
    /// Returns the input of a convolution.
    pub fn x(g: &ConvGeometry, values: &'a [T]) -> Self {
        Self { values, plane: g.plane, n_channels: g.ci, pool: None }
    }

    /// Returns the gradient of a convolution's output. With a fused pool, `values` is the gradient of the pool's output,
    /// and `index` has the positions of the maxima.
    pub fn d_y(g: &ConvGeometry, values: &'a [T], index: Option<&'a [u32]>) -> Self {
        let pool = index.map(|index| Pool { index, size: g.pool, plane: g.pooled });
        Self { values, plane: g.out, n_channels: g.co, pool }
    }

    /// Returns the rows in place.
    pub fn columns(&self) -> Columns<'a, T> {
        Columns { values: self.values, step: self.n_channels, width: self.plane[1] }
    }

    /// Returns the index of a channel of the first pixel of a row.
    pub fn start(&self, image: usize, row: usize, channel: usize) -> usize {
        (image * self.plane[0] + row) * self.plane[1] * self.n_channels + channel
    }

    /// Copies some channels of all pixels of a row. Neighbouring pixels of the copy are `column` elements apart, and the
    /// elements after the last channel are 0. `row` is the number of the row over all images.
    pub fn copy_row(&self, row: usize, channels: Range<usize>, column: usize, copy: &mut [T]) {
        let [h, w] = self.plane;
        if channels.len() < column {
            copy.fill(T::ZERO);
        }
        if let Some(pool) = self.pool {
            return self.unpool_row(pool, [row / h, row % h], channels, column, copy);
        }
        let n = self.n_channels;
        let x = &self.values[row * w * n..][..w * n];
        if column == n && channels.len() == n {
            return copy.copy_from_slice(x);
        }
        let pixels = copy.chunks_exact_mut(column).zip(x.chunks_exact(n));
        match channels.len() {
            // A copy of a constant number of elements is a few vector instructions.
            LANES => pixels.for_each(|(copy, x)| {
                copy[..LANES].copy_from_slice(&x[channels.start..][..LANES]);
            }),
            n => pixels.for_each(|(copy, x)| copy[..n].copy_from_slice(&x[channels.clone()])),
        }
    }

    /// Returns some channels of some rows, to be prefetched in `n_parts` parts. Rows after the last image are left out, and
    /// so are those of the gradient of a pool, which are not contiguous.
    pub fn ahead(
        &self,
        rows: Range<usize>,
        channels: Range<usize>,
        n_parts: usize,
    ) -> Ahead<'a, T> {
        let row_len = self.plane[1] * self.n_channels;
        match (self.pool, self.values.get(rows.start * row_len..rows.end * row_len)) {
            (None, Some(rows)) => Ahead::new(rows, self.n_channels, channels, n_parts),
            _ => Ahead::default(),
        }
    }

    /// Does the same as [`Self::copy_row`] for the gradient of a pool.
    fn unpool_row(
        &self,
        pool: Pool<'_>,
        [image, row]: [usize; 2],
        channels: Range<usize>,
        column: usize,
        copy: &mut [T],
    ) {
        let [size_h, size_w] = pool.size;
        let [pooled_h, pooled_w] = pool.plane;
        let n_inside = if row / size_h < pooled_h { pooled_w * size_w } else { 0 };
        let (inside, outside) = copy.split_at_mut(n_inside * column);
        // No window has these pixels.
        outside.fill(T::ZERO);
        let first = (image * pooled_h + row / size_h) * pooled_w;
        for (window, pixels) in inside.chunks_exact_mut(size_w * column).enumerate() {
            let start = (first + window) * self.n_channels + channels.start;
            let d_y = &self.values[start..][..channels.len()];
            let index = &pool.index[start..][..channels.len()];
            for (pixel, copy) in pixels.chunks_exact_mut(column).enumerate() {
                let at = (row % size_h * size_w + pixel) as u32;
                for (copy, (&d_y, &index)) in copy.iter_mut().zip(d_y.iter().zip(index)) {
                    *copy = if index == at { d_y } else { T::ZERO };
                }
            }
        }
    }
}

/// The size of a packed row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RowSize {
    /// Number of columns, with padding on both sides and the columns under the last tile's unused pixels.
    pub columns: usize,
    /// Number of columns of padding on the left.
    pub left: usize,
}

impl RowSize {
    /// Returns the number of elements of a packed row: `[columns, LANES]` of narrow groups, `[columns, from]` of wide
    /// ones.
    pub fn n_elements(&self, blocks: &Blocks) -> usize {
        self.columns * self.column(blocks)
    }

    /// Returns the distance of neighbouring columns in a packed row.
    pub fn column(&self, blocks: &Blocks) -> usize {
        if blocks.is_narrow { LANES } else { blocks.from }
    }
}

/// Largest number of packed rows: those under [`MAX_ROWS`] rows of a result, with a stride of 2.
const MAX_PLACES: usize = 3 * MAX_ROWS;

/// The packed rows of some blocks of channels: the last rows of the source that some rows of the result read.
pub struct PackedRows<'a, T> {
    blocks: Blocks,
    size: RowSize,
    /// The blocks that are packed together.
    together: Range<usize>,
    /// Packed rows, one after another. A row has the blocks one after another.
    pub values: &'a mut [T],
    /// The row in each place: its number over all images.
    rows: [Option<usize>; MAX_PLACES],
}

impl<'a, T: Real> PackedRows<'a, T> {
    /// Returns memory without any row. `values` has room for all rows that a kernel reads together, of all blocks in
    /// `together`.
    pub fn new(blocks: Blocks, size: RowSize, together: Range<usize>, values: &'a mut [T]) -> Self {
        Self { blocks, size, together, values, rows: [None; MAX_PLACES] }
    }

    /// Packs a row, unless it is packed already. Returns the index in `values` of the first element of a block. `row` is
    /// the number of the row over all images.
    pub fn pack(&mut self, source: Source<'_, T>, block: usize, row: usize) -> usize {
        let len = self.size.n_elements(&self.blocks);
        let row_len = self.together.len() * len;
        // The last blocks may be fewer than `values` has room for.
        let place = row % (self.values.len() / row_len).min(MAX_PLACES);
        if self.rows[place] != Some(row) {
            self.rows[place] = Some(row);
            let packed = &mut self.values[place * row_len..][..row_len];
            for (block, packed) in self.together.clone().zip(packed.chunks_exact_mut(len)) {
                pack_row(&self.blocks, self.size, block, source, row, packed);
            }
        }
        place * row_len + (block - self.together.start) * len
    }
}

/// Copies the channels of the source that a block reads, for all pixels of a row. Padding, and the lanes after the last
/// channel, are 0.
fn pack_row<T: Real>(
    blocks: &Blocks,
    size: RowSize,
    block: usize,
    source: Source<'_, T>,
    row: usize,
    packed: &mut [T],
) {
    let channels = blocks.sources(block);
    let column = size.column(blocks);
    let (left, rest) = packed.split_at_mut(size.left * column);
    left.fill(T::ZERO);
    let (inside, right) = rest.split_at_mut(source.plane[1] * column);
    right.fill(T::ZERO);
    source.copy_row(row, channels, column, inside);
}
