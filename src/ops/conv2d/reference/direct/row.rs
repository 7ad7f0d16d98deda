//! A row of the result, for one block of channels, and the rows of the source that it reads.
//!
//! A kernel keeps the sums of a tile in registers: some neighbouring pixels times one to three vectors of channels. It
//! reads each vector of the weight once for all pixels of the tile, and it needs no matrix of patches.

use pulp::Simd;

use super::ahead::NextRows;
use crate::kernel::Real;
use crate::kernel::cpu::lanes::LANES;
use crate::kernel::cpu::simd::vectors_of_lanes;

/// Largest number of pixels of a tile of a narrow row. A packed row has columns for the next multiple of it, and no tile
/// reads further.
pub const PIXELS: usize = 8;
/// Largest number of columns under a tile of a narrow row.
pub const MAX_COLUMNS: usize = 2 * PIXELS + 1;

/// Rows of the source.
#[derive(Clone, Copy)]
pub struct Columns<'a, T> {
    pub values: &'a [T],
    /// The distance of neighbouring columns.
    pub step: usize,
    /// The number of columns of a row.
    pub width: usize,
}

/// A run of a sum: neighbouring columns under a row of the kernel.
#[derive(Clone, Copy, Default)]
pub struct Run {
    /// The first element of the block in a row of the source.
    pub row: usize,
    /// The first column for the first pixel; negative in the padding.
    pub column: isize,
    /// The first element in the packed weight.
    pub weight: usize,
}

/// A row of the result.
pub struct Row<'a, T> {
    /// The source: packed, or in place for a narrow row.
    pub x: Columns<'a, T>,
    /// The packed weight of the block.
    pub weight: &'a [T],
    pub runs: &'a [Run],
    /// Room for the columns under a tile of a narrow row: [`MAX_COLUMNS`] times [`LANES`] elements for each run.
    pub padded: &'a mut [T],
    /// The number of elements of a run of a wide row.
    pub run_len: usize,
    /// The distance of neighbouring pixels of a wide row in `x`.
    pub x_step: usize,
    /// The result, from the first pixel's first channel on.
    pub y: &'a mut [T],
    /// The distance of neighbouring pixels in `y`.
    pub y_step: usize,
    /// The number of pixels.
    pub n_pixels: usize,
    /// The number of lanes of the block: [`LANES`] of a narrow row.
    pub n_lanes: usize,
    /// The number of channels, at most one for each lane.
    pub n_channels: usize,
    /// The memory that the next row needs. Each [`PIXELS`] pixels of a narrow row prefetch a part.
    pub next: NextRows<'a, T>,
}

impl<'a, T: Real> Columns<'a, T> {
    /// Returns the columns under a tile: `n` for each run, from column number `start` of the run on. If a row lacks
    /// some, all are copied to `copy`.
    #[inline(always)]
    pub fn of_tile<'b>(
        self,
        runs: &[Run],
        start: usize,
        n: usize,
        copy: &'b mut [T],
    ) -> TileColumns<'b, T>
    where
        'a: 'b,
    {
        let is_inside = |run: &Run| {
            let first = usize::try_from(run.column + start as isize);
            first.is_ok_and(|first| first + n <= self.width)
        };
        if runs.iter().all(is_inside) {
            return TileColumns { values: self.values, step: self.step, start, n_copied: None };
        }
        self.copy_padded(runs, start, n, copy);
        TileColumns { values: copy, step: LANES, start, n_copied: Some(n) }
    }

    /// Copies the columns under the runs, `[runs, n, LANES]`. Those in the padding are 0.
    fn copy_padded(&self, runs: &[Run], start: usize, n: usize, copy: &mut [T]) {
        for (run, copy) in runs.iter().zip(copy.chunks_exact_mut(n * LANES)) {
            for (ix, copy) in copy.chunks_exact_mut(LANES).enumerate() {
                match usize::try_from(run.column + (start + ix) as isize) {
                    Ok(column) if column < self.width => {
                        let lanes = lanes_at(self.values, run.row + column * self.step);
                        copy.copy_from_slice(lanes);
                    }
                    _ => copy.fill(T::ZERO),
                }
            }
        }
    }
}

/// The columns under a tile.
#[derive(Clone, Copy)]
pub struct TileColumns<'a, T> {
    values: &'a [T],
    /// The distance of neighbouring columns.
    pub step: usize,
    start: usize,
    /// The number of columns of a run in a copy; None in the rows of the source.
    n_copied: Option<usize>,
}

impl<'a, T> TileColumns<'a, T> {
    /// Returns the columns under a run, which is number `ix` of its tile.
    #[inline(always)]
    pub fn of_run(&self, ix: usize, run: &Run) -> &'a [T] {
        let start = match self.n_copied {
            Some(n) => ix * n * LANES,
            None => run.row + (run.column + self.start as isize) as usize * self.step,
        };
        &self.values[start..]
    }
}

/// Returns the number of neighbouring columns of a run of narrow groups: all columns of a 3x3 kernel, and of its phases
/// in the gradient of the input with stride 2.
pub fn run_taps(taps: usize, stride: usize) -> usize {
    if taps == 3 || taps == 2 && stride == 1 { taps } else { 1 }
}

/// Returns vector number `vector` of the lanes `l ^ member`.
#[inline(always)]
pub fn of_member<T: Real, S: Simd>(
    simd: S,
    lanes: &[T; LANES],
    vector: usize,
    member: usize,
) -> T::Vector<S> {
    let mut v = T::vectors::<S>(lanes)[vector_of_member::<T, S>(vector, member)];
    let is_set = |mask: usize| mask < lanes_of_vector::<T, S>() && member & mask != 0;
    if is_set(1) {
        v = T::shuffle_xor::<S, 1>(simd, v);
    }
    if is_set(2) {
        v = T::shuffle_xor::<S, 2>(simd, v);
    }
    if is_set(4) {
        v = T::shuffle_xor::<S, 4>(simd, v);
    }
    if is_set(8) {
        v = T::shuffle_xor::<S, 8>(simd, v);
    }
    v
}

/// Returns the number of the vector that has lane `l ^ member` for each lane l of vector number `vector`: vectors of fewer
/// lanes than a group has channels are exchanged as a whole.
#[inline(always)]
pub fn vector_of_member<T: Real, S: Simd>(vector: usize, member: usize) -> usize {
    vector ^ (member / lanes_of_vector::<T, S>())
}

/// Returns the number of lanes of a vector.
#[inline(always)]
pub const fn lanes_of_vector<T: Real, S: Simd>() -> usize {
    LANES / vectors_of_lanes::<T, S>()
}

/// Returns the lanes from element `start` on.
#[inline(always)]
pub fn lanes_at<T>(x: &[T], start: usize) -> &[T; LANES] {
    x[start..].first_chunk().expect("there are as many elements as lanes")
}

/// Writes vector number `vector` of the lanes of a pixel, as far as the pixel has channels.
#[inline(always)]
pub fn store_lanes<T: Real, S: Simd>(
    vector: usize,
    n_channels: usize,
    sums: T::Vector<S>,
    y: &mut [T],
) {
    let width = lanes_of_vector::<T, S>();
    let first = vector * width;
    if first + width <= n_channels {
        T::vectors_mut::<S>(&mut y[first..first + width])[0] = sums;
        return;
    }
    let mut lanes = [T::ZERO; LANES];
    T::vectors_mut::<S>(&mut lanes)[0] = sums;
    if first < n_channels {
        y[first..n_channels].copy_from_slice(&lanes[..n_channels - first]);
    }
}

#[cfg(test)]
pub mod tests {
    use pulp::WithSimd;

    use super::*;
    use crate::kernel::cpu::simd::widest;

    /// Returns numbers whose products have many digits.
    pub fn numbers(n: usize) -> Vec<f32> {
        (0..n).map(|ix| (ix * ix % 1013) as f32 / 1013.0 - 0.4).collect()
    }

    /// An instruction set with fused multiply-adds. With all of these a kernel has the same bits.
    #[derive(Clone, Copy, Debug)]
    pub enum InstructionSet {
        FourLanes,
        Avx2,
        Widest,
    }

    impl InstructionSet {
        /// Runs a kernel. Without AVX2, it does nothing and returns false.
        pub fn run<K: WithSimd>(self, kernel: K) -> bool {
            #[cfg(target_arch = "x86_64")]
            if let Some(v3) = pulp::x86::V3::try_new() {
                match self {
                    Self::FourLanes => drop(Simd::vectorize(pulp::x86::V3_128b(v3), kernel)),
                    Self::Avx2 => drop(Simd::vectorize(v3, kernel)),
                    Self::Widest => drop(widest(kernel)),
                }
                return true;
            }
            false
        }
    }

    /// Panics if `run` does not change `before` to `expected` with each instruction set.
    pub fn assert_same_bits(
        name: &str,
        before: &[f32],
        expected: &[f32],
        run: impl Fn(InstructionSet, &mut [f32]) -> bool,
    ) {
        use InstructionSet::{Avx2, FourLanes, Widest};
        for set in [FourLanes, Avx2, Widest] {
            let mut y = before.to_vec();
            if run(set, &mut y) {
                assert!(y == expected, "{set:?}, {name}");
            }
        }
    }
}
