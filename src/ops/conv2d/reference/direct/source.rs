//! Packed rows of the source.

use std::array::from_fn;

use pulp::{Simd, WithSimd};

use super::{Blocks, MAX_ROWS};
use crate::kernel::Real;
use crate::kernel::cpu::lanes::LANES;
use crate::kernel::cpu::simd::widest;

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
    /// Returns the number of elements of a packed row: `[planes, columns, LANES]` of narrow groups, `[columns, from]` of
    /// wide ones.
    pub fn n_elements(&self, blocks: &Blocks) -> usize {
        let lanes = if blocks.is_narrow { LANES } else { 1 };
        self.columns * blocks.from * lanes
    }

    /// Returns the distance of neighbouring columns in a packed row.
    pub fn column(&self, blocks: &Blocks) -> usize {
        if blocks.is_narrow { LANES } else { blocks.from }
    }
}

/// Largest number of packed rows: those under [`MAX_ROWS`] rows of a result, with a stride of 2.
const MAX_PLACES: usize = 3 * MAX_ROWS;

/// The packed rows of one block of channels: the last rows of the source that some rows of the result read.
pub struct PackedRows<'a, T> {
    blocks: Blocks,
    size: RowSize,
    /// Packed rows, one after another.
    pub values: &'a mut [T],
    /// The row in each place: its number over all images.
    rows: [Option<usize>; MAX_PLACES],
}

impl<'a, T: Real> PackedRows<'a, T> {
    /// Returns memory without any row. `values` has room for all rows that a kernel reads
    /// together.
    pub fn new(blocks: Blocks, size: RowSize, values: &'a mut [T]) -> Self {
        Self { blocks, size, values, rows: [None; MAX_PLACES] }
    }

    /// Packs a row for a block, unless it is packed already. Returns the index of its first element in `values`. `row`
    /// is the number of the row over all images.
    pub fn pack(&mut self, source: Source<'_, T>, block: usize, row: usize) -> usize {
        let len = self.size.n_elements(&self.blocks);
        let place = row % (self.values.len() / len);
        if self.rows[place] != Some(row) {
            self.rows[place] = Some(row);
            let packed = &mut self.values[place * len..][..len];
            let [_, w] = source.plane;
            let n = source.n_channels;
            let x = &source.values[row * w * n..][..w * n];
            pack_row(&self.blocks, self.size, block, (x, n), packed);
        }
        place * len
    }
}

fn pack_row<T: Real>(
    blocks: &Blocks,
    size: RowSize,
    block: usize,
    (x, n_channels): (&[T], usize),
    packed: &mut [T],
) {
    let channels = blocks.channels(block);
    if !blocks.is_narrow {
        let (first, from) = (channels.start / blocks.to * blocks.from, blocks.from);
        let (left, rest) = packed.split_at_mut(size.left * from);
        left.fill(T::ZERO);
        let (inside, right) = rest.split_at_mut(x.len() / n_channels * from);
        right.fill(T::ZERO);
        if from == n_channels {
            return inside.copy_from_slice(x);
        }
        for (packed, x) in inside.chunks_exact_mut(from).zip(x.chunks_exact(n_channels)) {
            packed.copy_from_slice(&x[first..first + from]);
        }
        return;
    }
    let row = Spread { x: &x[channels.start..], n_channels, n_lanes: channels.len(), size, packed };
    match blocks.from {
        1 => widest(SpreadGroups::<T, 1>(row)),
        2 => widest(SpreadGroups::<T, 2>(row)),
        4 => widest(SpreadGroups::<T, 4>(row)),
        8 => widest(SpreadGroups::<T, 8>(row)),
        other => unreachable!("narrow groups of {other} channels"),
    }
}

struct Spread<'a, T> {
    /// A row of the source, from the block's first channel on.
    x: &'a [T],
    /// The number of channels of the source.
    n_channels: usize,
    /// The number of channels of the block.
    n_lanes: usize,
    size: RowSize,
    packed: &'a mut [T],
}

/// Writes the planes of groups of `G` channels. A kernel for [`widest`] because the planes are permutations of a
/// vector.
struct SpreadGroups<'a, T, const G: usize>(Spread<'a, T>);

impl<T: Real, const G: usize> WithSimd for SpreadGroups<'_, T, G> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Spread { x, n_channels, n_lanes, size, packed } = self.0;
        let n_columns = x.len().div_ceil(n_channels);
        let len = size.columns * LANES;
        for plane in packed.chunks_exact_mut(len) {
            plane[..size.left * LANES].fill(T::ZERO);
            plane[(size.left + n_columns) * LANES..].fill(T::ZERO);
        }
        for column in 0..n_columns {
            let x = &x[column * n_channels..];
            let values: [T; LANES] = match n_lanes {
                LANES => *x.first_chunk().expect("a block has as many channels as lanes"),
                _ => from_fn(|lane| if lane < n_lanes { x[lane] } else { T::ZERO }),
            };
            let at = (size.left + column) * LANES;
            for plane in 0..G {
                let packed =
                    packed[plane * len + at..].first_chunk_mut().expect("a plane of lanes");
                *packed = from_fn::<T, LANES, _>(|lane| values[lane / G * G + plane]);
            }
        }
    }
}
