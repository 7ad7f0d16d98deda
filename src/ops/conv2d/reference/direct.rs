//! The direct convolution: sums in registers, without a matrix of patches. It computes grouped and depthwise
//! convolutions, and convolutions of few input channels.
//!
//! A group of few channels makes matrix products too small: with 4 channels a group, the `gemm` crates reach a tenth of
//! their peak, and each group has its own patches. Here a block of [`LANES`] output channels is a vector, across the
//! borders of groups:
//!
//! ```text
//! narrow   1, 2, 4 or 8 channels a group, as many in as out. A lane needs each member of its group. So a vector of the
//!          source is permuted, once for each member: then lane l has member i of the group of output channel l.
//! wide     groups whose channels fill at least three quarters of the lanes of their vectors, such as 16 or 25 channels. All
//!          lanes multiply the same element of x.
//! ```
//!
//! Rows of the source are packed with their padding, all blocks of narrow groups together or one wide block at a time, and
//! stay in the cache for all rows of the kernel.

mod correlate;
mod source;
mod tile;
mod weight;
mod weight_tile;

pub(super) use correlate::Direct;
pub(super) use weight::DirectWeight;

use std::ops::Range;

use crate::kernel::cpu::lanes::LANES;

/// Largest number of rows of a kernel.
const MAX_ROWS: usize = 8;
/// Largest number of runs of a sum.
const MAX_RUNS: usize = 64;
/// Largest number of channels of a wide group. The packed weight of a block then has 288 KiB of f32 with a 3x3 kernel,
/// and stays in a core's own cache.
const MAX_WIDE: usize = 64;
/// Largest number of input channels of a convolution in one group.
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
    /// Returns the division; None if the direct convolution does not compute such groups.
    fn new(groups: usize, from: usize, to: usize) -> Option<Self> {
        let is_narrow = from == to && [1, 2, 4, 8].contains(&from);
        let is_few = if groups == 1 { from <= FEW_CHANNELS } else { from <= MAX_WIDE };
        let padded = to.next_multiple_of(LANES);
        // At most a quarter of the lanes of a group has no channel.
        let fits = padded == to || groups > 1 && 4 * to >= 3 * padded;
        let is_wide = fits && is_few;
        let size = if !is_narrow && padded.is_multiple_of(2 * LANES) { 2 * LANES } else { LANES };
        ((is_narrow && groups > 1) || is_wide).then_some(Self {
            from,
            to,
            n_channels: groups * to,
            size,
            is_narrow,
        })
    }

    fn count(&self) -> usize {
        match self.is_narrow {
            true => self.n_channels.div_ceil(self.size),
            false => self.n_channels / self.to * self.to.div_ceil(self.size),
        }
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
}
