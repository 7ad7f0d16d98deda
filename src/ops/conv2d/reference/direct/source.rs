//! Packed rows of the source.

use std::ops::Range;

use super::{Blocks, MAX_ROWS};
use crate::kernel::Real;
use crate::kernel::cpu::lanes::LANES;

/// The tensor that a direct convolution reads, `[N, H, W, C]`.
#[derive(Clone, Copy)]
pub struct Source<'a, T> {
    pub values: &'a [T],
    /// `[H, W]`.
    pub plane: [usize; 2],
    pub n_channels: usize,
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
        let place = row % (self.values.len() / row_len);
        if self.rows[place] != Some(row) {
            self.rows[place] = Some(row);
            let packed = &mut self.values[place * row_len..][..row_len];
            let [_, w] = source.plane;
            let n = source.n_channels;
            let x = &source.values[row * w * n..][..w * n];
            for (block, packed) in self.together.clone().zip(packed.chunks_exact_mut(len)) {
                pack_row(&self.blocks, self.size, block, (x, n), packed);
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
    (x, n_channels): (&[T], usize),
    packed: &mut [T],
) {
    let channels = blocks.channels(block);
    let column = size.column(blocks);
    let (first, n) = match blocks.is_narrow {
        true => (channels.start, channels.len()),
        false => (channels.start / blocks.to * blocks.from, blocks.from),
    };
    let (left, rest) = packed.split_at_mut(size.left * column);
    left.fill(T::ZERO);
    let (inside, right) = rest.split_at_mut(x.len() / n_channels * column);
    right.fill(T::ZERO);
    if column == n_channels {
        return inside.copy_from_slice(x);
    }
    if n < column {
        inside.fill(T::ZERO);
    }
    let pixels = inside.chunks_exact_mut(column).zip(x.chunks_exact(n_channels));
    match n {
        // A copy of a constant number of elements is a few vector instructions.
        LANES => {
            pixels.for_each(|(packed, x)| packed[..LANES].copy_from_slice(&x[first..][..LANES]))
        }
        _ => pixels.for_each(|(packed, x)| packed[..n].copy_from_slice(&x[first..][..n])),
    }
}
