//! Some rows' part of the gradient of the weight, for one block of channels. The sums of a tile stay in registers for all
//! pixels of the rows.

use super::ahead::NextRows;
use super::row::Columns;

/// Number of pixels of narrow groups that are added together.
pub const TOGETHER: usize = 4;
/// Largest number of columns under these pixels.
pub const MAX_PIXEL_COLUMNS: usize = 2 * TOGETHER + 1;

/// The part of the gradient of the weight that comes from some rows.
pub struct WeightRows<'a, T> {
    /// The source: packed, or in place for narrow groups.
    pub x: Columns<'a, T>,
    /// The gradient of the output: packed, `[rows, n_pixels, n_channels]`, or in place.
    pub d_y: &'a [T],
    /// The distance of neighbouring pixels of narrow groups in `d_y`.
    pub d_y_step: usize,
    /// For each row: the first element of the block in a row of the source, and in one of `d_y`.
    pub rows: &'a [[usize; 2]],
    /// The first column of the source for the first pixel; negative in the padding.
    pub column: isize,
    /// Room for the columns under the pixels that narrow groups add together: [`MAX_PIXEL_COLUMNS`] times the lanes.
    pub padded: &'a mut [T],
    /// The number of pixels of a row.
    pub n_pixels: usize,
    /// The number of channels.
    pub n_channels: usize,
    /// The distance of neighbouring pixels of wide groups in `x`.
    pub x_step: usize,
    /// The number of elements of x for each pixel of wide groups.
    pub run_len: usize,
    /// The sums to which the part is added.
    pub d_weight: &'a mut [T],
    /// The distance in `d_weight` between two members of a narrow group.
    pub d_weight_plane: usize,
    /// The memory that the next band needs. Each [`TOGETHER`] pixels of narrow groups prefetch a part.
    pub next: NextRows<'a, T>,
}
