//! The gradient of the weight: for each of the 16 positions of a transformed tile, the sum over the tiles of x times
//! d_y, and then the transposed transform of the kernel.

use std::array::from_fn;
use std::ops::Range;

use super::forward::tiling;
use super::kernel;
use super::tiles::{Combination, Matrices, Tiling, four};
use crate::kernel::Real;
use crate::kernel::cpu::lanes::{LANES, lanes, rest, whole};
use crate::kernel::cpu::matmul::{Matrix, product};
use crate::kernel::cpu::parallel::for_each_chunk;
use crate::ops::conv2d::ConvGeometry;
use crate::tape::{Args, ScratchSize};

/// Largest number of splits of the tiles. A split is four tasks.
const MAX_SPLITS: usize = 6;
/// Largest number of partial sums over all splits: 16 MiB of f32. One split is always allowed.
const MAX_PARTIALS: usize = 1 << 22;

/// Returns the number of splits, and the number of rows of tiles of a split. They depend on the shape alone, so the
/// order of the sums is the same on every machine.
fn splits(g: &ConvGeometry, tiling: &Tiling) -> (usize, usize) {
    let n_splits = (MAX_PARTIALS / (16 * g.ci * g.co)).clamp(1, MAX_SPLITS);
    let rows = tiling.n_rows().div_ceil(n_splits).next_multiple_of(tiling.block_rows());
    (tiling.n_rows().div_ceil(rows), rows)
}

/// Returns the size of the scratch memory.
pub fn scratch(g: &ConvGeometry) -> ScratchSize {
    let tiling = tiling(g);
    let n_tiles = tiling.block_rows() * tiling.tiles[1];
    let per_thread = tiling.row_elements(g.ci.max(g.co)) + 4 * n_tiles * (g.ci + g.co);
    ScratchSize { per_thread, ..ScratchSize::shared(splits(g, &tiling).0 * 16 * g.ci * g.co) }
}

/// Computes the gradient of the weight.
pub fn run<T: Real>(g: &ConvGeometry, args: Args<'_, T>) {
    let (x, d_y) = (args.inputs[0].real(), args.inputs[1].real());
    let index = (g.rows_per_pixel() > 1).then(|| args.inputs[2].words());
    let d_weight = args.outputs[0].real();
    let threads = args.scratch.threads;
    let tiling = tiling(g);
    let (n_splits, split_rows) = splits(g, &tiling);
    let sums = &mut args.scratch.shared[..n_splits * 16 * g.ci * g.co];
    for_each_chunk(sums, 4 * g.ci * g.co, &|task, sums| {
        let (split, i) = (task / 4, task % 4);
        let first = split * split_rows;
        let rows = first..(first + split_rows).min(tiling.n_rows());
        threads.with(|scratch| {
            for start in rows.clone().step_by(tiling.block_rows()) {
                let block = start..(start + tiling.block_rows()).min(rows.end);
                let is_first = start == rows.start;
                add_block(g, &tiling, x, (d_y, index), block, i, sums, is_first, scratch);
            }
        });
    });
    kernel::gradient(sums, d_weight);
}

/// Adds the products of row `i` of some transformed tiles to `sums`, four matrices `[Ci, Co]`, or overwrites `sums` if
/// the tiles are the first.
#[expect(clippy::too_many_arguments)]
fn add_block<T: Real>(
    g: &ConvGeometry,
    tiling: &Tiling,
    x: &[T],
    (d_y, index): (&[T], Option<&[u32]>),
    rows: Range<usize>,
    i: usize,
    sums: &mut [T],
    is_first: bool,
    scratch: &mut [T],
) {
    let n_tiles = rows.len() * tiling.tiles[1];
    let (row, scratch) = scratch.split_at_mut(tiling.row_elements(g.ci.max(g.co)));
    let (source, gradient) = scratch.split_at_mut(4 * n_tiles * g.ci);
    tiling.source_tiles(x, g.ci, rows.clone(), i, row, source);
    let matrices = four(gradient, n_tiles * g.co);
    let mut matrices = Matrices { matrices, channels: g.co, first: 0 };
    match index {
        None => gradient_tiles(tiling, d_y, rows, i, row, &mut matrices),
        Some(index) => {
            let here = rows.start * tiling.tiles[1] * g.co..rows.end * tiling.tiles[1] * g.co;
            let (d_y, index) = (&d_y[here.clone()], &index[here]);
            pooled_tiles::<T, LANES>(whole(g.co), d_y, index, i, &mut matrices);
            pooled_tiles::<T, 1>(rest(g.co), d_y, index, i, &mut matrices);
        }
    }
    let pairs = source.chunks(n_tiles * g.ci).zip(gradient.chunks(n_tiles * g.co));
    for ((source, gradient), sums) in pairs.zip(sums.chunks_mut(g.ci * g.co)) {
        let (left, right) = (Matrix::transposed(source, g.ci), Matrix::rows(gradient, g.co));
        product([g.ci, g.co, n_tiles], sums, g.co, left, right, !is_first);
    }
}

/// Writes row `i` of `A · tile · Aᵀ` for some rows of tiles of d_y.
fn gradient_tiles<T: Real>(
    tiling: &Tiling,
    d_y: &[T],
    rows: Range<usize>,
    i: usize,
    row: &mut [T],
    matrices: &mut Matrices<'_, T>,
) {
    let Tiling { out: [oh, ow], tiles: [tile_rows, n_columns], .. } = *tiling;
    let channels = matrices.channels;
    let row = &mut row[..2 * n_columns * channels];
    row[ow * channels..].fill(T::ZERO);
    for tile_row in rows {
        let (image, ty) = (tile_row / tile_rows, tile_row % tile_rows);
        let of = |y: usize| (y < oh).then(|| &d_y[(image * oh + y) * ow * channels..]);
        let (top, bottom) = (of(2 * ty), of(2 * ty + 1));
        // A has the rows (1, 0), (1, 1), (1, −1) and (0, −1).
        let (a, b, combination) = match i {
            0 => (top, None, Combination::Sum),
            1 => (top, bottom, Combination::Sum),
            2 => (top, bottom, Combination::Difference),
            _ => (None, bottom, Combination::Difference),
        };
        combination.write(a, b, &mut row[..ow * channels]);
        gradient_columns::<T, LANES>(whole(channels), row, n_columns, matrices);
        gradient_columns::<T, 1>(rest(channels), row, n_columns, matrices);
        matrices.first += n_columns;
    }
}

/// Multiplies a row of `A · tile` by Aᵀ, for some channels, `L` channels at a time.
fn gradient_columns<T: Real, const L: usize>(
    range: Range<usize>,
    row: &[T],
    n_columns: usize,
    matrices: &mut Matrices<'_, T>,
) {
    let channels = matrices.channels;
    for tile in 0..n_columns {
        for c in range.clone().step_by(L) {
            let at = 2 * tile * channels + c;
            let left: [T; L] = lanes(row, at);
            matrices.store(tile, c, times_a(left, lanes(row, at + channels)));
        }
    }
}

/// Returns the product of a row (left, right) and Aᵀ.
#[inline]
fn times_a<T: Real, const L: usize>(left: [T; L], right: [T; L]) -> [[T; L]; 4] {
    [left, from_fn(|l| left[l] + right[l]), from_fn(|l| left[l] - right[l]), right.map(|r| -r)]
}

/// Writes row `i` of `A · tile · Aᵀ` for tiles that are windows of the fused max pool, `L` channels at a time. Such a
/// tile is 0 except for d_y at the position `index`.
fn pooled_tiles<T: Real, const L: usize>(
    range: Range<usize>,
    d_y: &[T],
    index: &[u32],
    i: usize,
    matrices: &mut Matrices<'_, T>,
) {
    let channels = matrices.channels;
    for tile in 0..d_y.len() / channels {
        for c in range.clone().step_by(L) {
            let d: [T; L] = lanes(d_y, tile * channels + c);
            let index: [u32; L] = lanes(index, tile * channels + c);
            let (zero, minus) = ([T::ZERO; L], d.map(|d| -d));
            let (top, bottom) = [(d, zero), (d, d), (d, minus), (zero, minus)][i];
            let d: [T; L] = from_fn(|l| if index[l] < 2 { top[l] } else { bottom[l] });
            let is_left = index.map(|index| index.is_multiple_of(2));
            let left: [T; L] = from_fn(|l| if is_left[l] { d[l] } else { T::ZERO });
            let right: [T; L] = from_fn(|l| if is_left[l] { T::ZERO } else { d[l] });
            matrices.store(tile, c, times_a(left, right));
        }
    }
}
