//! The direct convolution: sums in registers, without a matrix of patches. It computes grouped and depthwise
//! convolutions, and convolutions of few channels.
//!
//! Few channels make matrix products too small: with 16 channels, the `gemm` crates reach a quarter of their peak, with 4
//! channels a group a tenth, and each group has its own patches. Here a block of one to three vectors of [`LANES`] output
//! channels is computed for some pixels at a time:
//!
//! ```text
//! narrow   several groups of 1, 2, 4, 8 or 16 channels (8 for the gradient of the weight), as many in as out. A block is a
//!          vector, across the borders of groups. Lane l has channel l of the source, and is multiplied with the weights to
//!          channels l, l ^ 1, l ^ 2 and so on of its group, a sum for each. At the end the lanes of the sums are shuffled
//!          to their channels, and the sums are added.
//! wide     one group of at most 48 channels (64 for the gradient of the weight), or several groups whose channels fill at
//!          least three quarters of the lanes of their vectors, such as 12 or 25 channels. All lanes of a block multiply
//!          the same element of x.
//! ```
//!
//! Rows of the source are packed with their padding, some blocks together, and stay in the cache for all rows of the kernel.
//! Narrow groups read them in place, if their channels fill all vectors and
//! no fused pool's gradient is the source.

mod ahead;
mod correlate;
mod narrow;
mod narrow_weight;
mod packed_weight;
mod pairs;
mod row;
mod source;
mod weight;
mod weight_rows;
mod wide;
mod wide_weight;

pub(super) use correlate::Direct;
pub(super) use source::Source;
pub(super) use weight::DirectWeight;

use std::ops::Range;

use row::PIXELS;

use crate::kernel::cpu::lanes::LANES;
use crate::ops::conv2d::ConvGeometry;

/// Largest number of channels of a block.
const MAX_BLOCK: usize = 3 * LANES;
/// Largest number of rows of a kernel.
const MAX_ROWS: usize = 8;
/// Largest number of runs of a sum.
const MAX_RUNS: usize = 64;
/// Largest number of channels of the source in a wide group. The packed weight of a block then has at most 108 KiB of f32
/// with a 3x3 kernel, and stays in a core's own cache.
const MAX_WIDE: usize = 64;
/// Largest number of channels of the source for a 1x1 kernel in one group, and for rows of any length.
const FEW_CHANNELS: usize = 4;

/// The division of the channels of a result into blocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Blocks {
    /// Number of channels of the source in a group.
    from: usize,
    /// Number of channels of the result in a group.
    to: usize,
    /// Number of channels of the result.
    n_channels: usize,
    /// Number of channels of the result in a block.
    size: usize,
    /// True for narrow groups.
    is_narrow: bool,
}

impl Blocks {
    /// Returns the division for groups of `from` channels of the source and `to` channels of the result; None if the
    /// direct convolution does not compute such groups. Groups of at most `max_narrow` channels are narrow.
    fn new(g: &ConvGeometry, from: usize, to: usize, max_narrow: usize) -> Option<Self> {
        let is_narrow = g.groups > 1 && from == to && from.is_power_of_two() && from <= max_narrow;
        let padded = to.next_multiple_of(LANES);
        let is_wide = match g.groups {
            // With a 1x1 kernel, x itself is the matrix of patches, and matrix products take less time.
            1 => from <= if g.window.area() == 1 { FEW_CHANNELS } else { MAX_WIDE },
            // At most a quarter of the lanes of a group has no channel: a block of a group reads a few bytes of each pixel.
            _ => from <= MAX_WIDE && 4 * to >= 3 * padded,
        };
        let size = match padded / LANES {
            _ if is_narrow => LANES,
            n if n.is_multiple_of(2) => 2 * LANES,
            n if n.is_multiple_of(3) => 3 * LANES,
            _ => LANES,
        };
        (is_narrow || is_wide).then_some(Self {
            from,
            to,
            n_channels: g.groups * to,
            size,
            is_narrow,
        })
    }

    /// Returns true if a tile has few pixels without use in rows of `n_columns` pixels, or if matrix products would take
    /// more time in any case.
    fn fit_rows(&self, n_columns: usize) -> bool {
        let covered = n_columns.next_multiple_of(7).min(n_columns.next_multiple_of(PIXELS));
        match self.to {
            _ if self.n_channels > self.to || self.from <= FEW_CHANNELS => true,
            0..=LANES => 2 * n_columns >= covered,
            _ => 8 * n_columns >= 7 * covered,
        }
    }

    /// Returns true if the gradient of the weight adds terms of enough pixels before it stores the sums, or if matrix
    /// products would take more time in any case.
    fn fit_weight(&self, n_columns: usize) -> bool {
        self.n_channels > self.to || self.from <= FEW_CHANNELS || n_columns >= 4
    }

    /// Returns true if kernels can read the channels of a block in place: narrow groups, with a channel for each lane.
    fn can_be_in_place(&self) -> bool {
        self.is_narrow && self.n_channels.is_multiple_of(LANES)
    }

    fn count(&self) -> usize {
        match self.is_narrow {
            true => self.n_channels.div_ceil(self.size),
            false => self.n_channels / self.to * self.to.div_ceil(self.size),
        }
    }

    /// Returns the largest number not above `most` into which the blocks divide with the least rest.
    fn together(&self, most: usize) -> usize {
        self.count().div_ceil(self.count().div_ceil(most))
    }

    /// Returns the number of blocks of wide groups whose rows are packed together: up to `most`, which are neighbours in
    /// memory. The blocks of one group read the same row, and each packs it again.
    fn wide_together(&self, most: usize) -> usize {
        let is_one_block = self.to <= self.size && self.from <= 2 * LANES;
        if is_one_block { self.together(most) } else { 1 }
    }

    /// Returns the channels of neighbouring blocks, or those that the blocks read. `of` returns those of one block.
    fn span(
        &self,
        blocks: &Range<usize>,
        of: impl Fn(&Self, usize) -> Range<usize>,
    ) -> Range<usize> {
        of(self, blocks.start).start..of(self, blocks.end - 1).end
    }

    /// Returns the number of elements of the packed weight for one tap of a block.
    fn tap(&self) -> usize {
        self.from * self.size
    }

    /// Returns the channels of a block. The last block of all narrow groups, or of a wide group, may have fewer than the
    /// others.
    fn channels(&self, block: usize) -> Range<usize> {
        let (first, end, block) = match self.is_narrow {
            true => (0, self.n_channels, block),
            false => {
                let blocks = self.to.div_ceil(self.size);
                let first = block / blocks * self.to;
                (first, first + self.to, block % blocks)
            }
        };
        let start = first + block * self.size;
        start..end.min(start + self.size)
    }

    /// Returns the channels of the source that a block reads: those of its group, or of its groups.
    fn sources(&self, block: usize) -> Range<usize> {
        let channels = self.channels(block);
        match self.is_narrow {
            true => channels,
            false => {
                let first = channels.start / self.to * self.from;
                first..first + self.from
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::conv2d::Conv2d;

    /// Returns which of the three nodes of a convolution are direct: the output, the gradients of x and of the weight.
    fn direct(plane: usize, ci: usize, co: usize, conv: Conv2d) -> [bool; 3] {
        let [kernel_h, kernel_w] = conv.window.size;
        let weight = [kernel_h, kernel_w, ci / conv.groups, co];
        let g = ConvGeometry::new(&conv, None, &[2, plane, plane, ci], &weight);
        let correlations =
            [Direct::forward(&g), Direct::d_input(&g)].map(|direct| direct.is_some());
        [correlations[0], correlations[1], DirectWeight::new(&g).is_some()]
    }

    #[test]
    fn the_shape_chooses_the_algorithm() {
        let same = Conv2d::square(3, 1, 1);
        let grouped = |groups| Conv2d { groups, ..same };
        assert_eq!(direct(32, 16, 16, same), [true; 3]);
        assert_eq!(direct(32, 16, 32, Conv2d::square(3, 2, 1)), [true; 3]);
        assert_eq!(direct(8, 48, 48, same), [true; 3]);
        assert_eq!(direct(8, 48, 96, same), [true, false, true], "96 channels of d_y");
        assert_eq!(direct(8, 64, 64, same), [false, false, true], "64 channels");
        assert_eq!(direct(4, 64, 64, same), [false, false, true], "rows of 4 pixels");
        assert_eq!(direct(2, 16, 16, same), [false; 3], "rows of 2 pixels");
        assert_eq!(direct(32, 64, 64, Conv2d::square(1, 1, 0)), [false; 3], "1x1");
        assert_eq!(direct(32, 16, 16, Conv2d::square(3, 3, 1)), [false; 3], "stride 3");
        assert_eq!(direct(4, 128, 128, grouped(2)), [true; 3]);
        assert_eq!(direct(8, 40, 40, grouped(2)), [false; 3], "groups of 20 channels");
    }

    #[test]
    fn groups_of_a_power_of_two_are_narrow() {
        let narrow = |channels: usize, size| {
            let conv = Conv2d { groups: 4, ..Conv2d::square(size, 1, size / 2) };
            let weight = [size, size, channels, 4 * channels];
            let g = ConvGeometry::new(&conv, None, &[2, 9, 9, 4 * channels], &weight);
            let correlations = [Direct::forward(&g), Direct::d_input(&g)]
                .map(|direct| direct.is_some_and(|direct| direct.blocks.is_narrow));
            let weight = DirectWeight::new(&g).is_some_and(|direct| direct.blocks.is_narrow);
            [correlations[0], correlations[1], weight]
        };
        for channels in [1, 2, 4, 8] {
            assert_eq!(narrow(channels, 3), [true; 3], "{channels} channels");
        }
        assert_eq!(narrow(16, 3), [true, true, false]);
        assert_eq!(narrow(16, 1), [false; 3]);
        assert_eq!(narrow(16, 5), [false; 3]);
        assert_eq!(narrow(12, 3), [false; 3]);
        assert_eq!(narrow(32, 3), [false; 3]);
    }
}
