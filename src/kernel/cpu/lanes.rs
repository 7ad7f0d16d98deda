//! Loops over channels in arrays of fixed size. The compiler turns such loops into vector instructions.
//!
//! Slices need run-time checks of length and overlap, and arrays of fixed size do not. In rows of few channels those
//! checks take longer than the arithmetic. A function that loops over channels has a const parameter, the number of
//! channels that it processes at a time. The caller calls such a function twice: with [`LANES`] for the [`whole`]
//! groups of channels, and with 1 for the [`rest`].

use std::ops::Range;

/// Number of channels that a loop processes at a time.
pub const LANES: usize = 16;

/// Returns the range of channels that fill whole groups of [`LANES`].
pub fn whole(n_channels: usize) -> Range<usize> {
    0..n_channels - n_channels % LANES
}

/// Returns the range of the channels that remain after the [`whole`] groups of [`LANES`] channels.
pub fn rest(n_channels: usize) -> Range<usize> {
    n_channels - n_channels % LANES..n_channels
}

/// Reads the `L` values from `start` on.
///
/// # Panics
/// If there are fewer than `L` values from `start` on.
#[inline]
pub fn lanes<E: Copy, const L: usize>(values: &[E], start: usize) -> [E; L] {
    *values[start..].first_chunk().expect("there are as many values as lanes")
}

/// Overwrites the `L` values from `start` on.
///
/// # Panics
/// If there are fewer than `L` values from `start` on.
#[inline]
pub fn store<E, const L: usize>(values: &mut [E], start: usize, lanes: [E; L]) {
    *values[start..].first_chunk_mut().expect("there are as many values as lanes") = lanes;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_channel_is_whole_or_rest() {
        for n in [0, 1, LANES - 1, LANES, LANES + 1, 3 * LANES + 5] {
            assert_eq!(whole(n).len() % LANES, 0);
            assert!(rest(n).len() < LANES && whole(n).end == rest(n).start && rest(n).end == n);
        }
    }

    #[test]
    fn stored_lanes_can_be_read_back() {
        let mut values = [0, 1, 2, 3, 4];
        let [a, b] = lanes(&values, 2);
        store(&mut values, 0, [b, a]);
        assert_eq!(values, [3, 2, 2, 3, 4]);
    }
}
