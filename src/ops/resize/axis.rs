//! The places of output positions among the input positions of one axis, in whole numbers.

use std::ops::Range;

use super::Interpolation;
use crate::kernel::Real;

/// An axis of a resize. Output position o lies at `max(o · step + added − subtracted, 0) / unit` among the input
/// positions. All four numbers are whole, so the positions before and after the place are exact.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    n_inputs: usize,
    n_outputs: usize,
    is_nearest: bool,
    /// Distance between neighbouring output positions, in units.
    pub step: usize,
    /// Units added to the place of every output position.
    pub added: usize,
    /// Units subtracted from it.
    pub subtracted: usize,
    /// Number of units between neighbouring input positions.
    pub unit: usize,
}

/// The two input positions around the place of an output position.
pub(super) struct Taps<T> {
    /// The position at or before the place.
    pub low: usize,
    /// The position after it; `low` behind the last position.
    pub high: usize,
    /// Weight of `high`; the weight of `low` is 1 minus this number.
    pub weight: T,
}

impl Axis {
    pub fn new(n_inputs: usize, n_outputs: usize, interpolation: Interpolation) -> Self {
        let (step, added, subtracted, unit) = match interpolation {
            Interpolation::Nearest => (n_inputs, 0, 0, n_outputs),
            Interpolation::Bilinear { align_corners: true } if n_outputs == 1 => (0, 0, 0, 1),
            Interpolation::Bilinear { align_corners: true } => (n_inputs - 1, 0, 0, n_outputs - 1),
            Interpolation::Bilinear { align_corners: false } => {
                (2 * n_inputs, n_inputs, n_outputs, 2 * n_outputs)
            }
        };
        let is_nearest = interpolation == Interpolation::Nearest;
        Self { n_inputs, n_outputs, is_nearest, step, added, subtracted, unit }
    }

    /// Returns the input positions around the place of an output position.
    pub fn taps<T: Real>(&self, output: usize) -> Taps<T> {
        let place = (output * self.step + self.added).saturating_sub(self.subtracted);
        let (low, rest) = (place / self.unit, place % self.unit);
        let weight = T::from_count(rest) / T::from_count(self.unit);
        Taps { low, high: (low + 1).min(self.n_inputs - 1), weight }
    }

    /// Returns the range of output positions that read an input position.
    pub fn readers(&self, input: usize) -> Range<usize> {
        let first = if self.is_nearest { input } else { input.saturating_sub(1) };
        self.first_at(first)..self.first_at(input + 1)
    }

    /// Returns the first output position whose place is not before an input position; the number of output positions
    /// if all places are before it.
    fn first_at(&self, input: usize) -> usize {
        if input == 0 {
            return 0;
        }
        if self.step == 0 {
            return self.n_outputs;
        }
        let distance = (input * self.unit + self.subtracted).saturating_sub(self.added);
        distance.div_ceil(self.step).min(self.n_outputs)
    }

    /// Returns the weight of an input position in an output position that reads it.
    pub fn weight<T: Real>(&self, output: usize, input: usize) -> T {
        if self.is_nearest {
            return T::ONE;
        }
        let taps = self.taps::<T>(output);
        let low = if taps.low == input { T::ONE - taps.weight } else { T::ZERO };
        let high = if taps.high == input { taps.weight } else { T::ZERO };
        low + high
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [Interpolation; 3] = [
        Interpolation::Nearest,
        Interpolation::Bilinear { align_corners: true },
        Interpolation::Bilinear { align_corners: false },
    ];

    /// Compares with the definitions in f64, at every size up to 12.
    #[test]
    fn places_are_those_of_the_definition() {
        for (from, to) in (1..13).flat_map(|from| (1..13).map(move |to| (from, to))) {
            for (kind, o) in KINDS.into_iter().flat_map(|kind| (0..to).map(move |o| (kind, o))) {
                let (f, t, at) = (from as f64, to as f64, o as f64);
                let place = match kind {
                    Interpolation::Nearest => (at * f / t).floor(),
                    Interpolation::Bilinear { align_corners: true } if to == 1 => 0.0,
                    Interpolation::Bilinear { align_corners: true } => at * (f - 1.0) / (t - 1.0),
                    Interpolation::Bilinear { align_corners: false } => {
                        ((at + 0.5) * f / t - 0.5).max(0.0)
                    }
                };
                let taps = Axis::new(from, to, kind).taps::<f64>(o);
                let weight = if kind == Interpolation::Nearest { 0.0 } else { taps.weight };
                let error = (taps.low as f64 + weight - place).abs();
                assert!(error < 1e-12, "{kind:?}, {from} to {to}, {o}: {} + {weight}", taps.low);
                assert!(taps.high < from && taps.high - taps.low < 2);
            }
        }
    }

    #[test]
    fn readers_are_the_outputs_that_read_a_position() {
        for (from, to) in (1..13).flat_map(|from| (1..13).map(move |to| (from, to))) {
            for (kind, input) in KINDS.into_iter().flat_map(|k| (0..from).map(move |i| (k, i))) {
                let axis = Axis::new(from, to, kind);
                let readers = axis.readers(input);
                let reads = |o: usize| {
                    let taps = axis.taps::<f64>(o);
                    taps.low == input || (kind != Interpolation::Nearest && taps.high == input)
                };
                let expected = (0..to).filter(|&o| reads(o));
                assert!(expected.eq(readers), "{kind:?}, {from} to {to}, position {input}");
            }
        }
    }
}
