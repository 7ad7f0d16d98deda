//! Statistics of repeated measurements of one time: median and spread.
use crate::base::sorting::sort_by;

use serde::{Deserialize, Serialize};

/// Several measurements of the same quantity.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Sample {
    /// Number of measurements.
    pub n: usize,
    /// Median: the middle measurement, or the mean of the two in the middle.
    pub median: f64,
    /// Lower quartile: a quarter of the measurements are below it.
    pub lower_quartile: f64,
    /// Upper quartile: a quarter of the measurements are above it.
    pub upper_quartile: f64,
    /// Smallest measurement.
    pub min: f64,
    /// Largest measurement.
    pub max: f64,
}

/// Smallest change that counts as more than noise, as a fraction of the median. Between two runs, clock rates, memory
/// and other processes change times by up to this fraction, even if the spread within each run is much smaller.
pub const SMALLEST_CHANGE: f64 = 0.03;

impl Sample {
    /// Returns the sample of measurements in any order.
    ///
    /// # Panics
    /// If `values` is empty.
    pub fn new(mut values: Vec<f64>) -> Self {
        assert!(!values.is_empty(), "a sample needs at least one measurement");
        sort_by(&mut values, f64::total_cmp);
        // Interpolates linearly between the two nearest measurements.
        let quantile = |part: f64| {
            let at = part * (values.len() - 1) as f64;
            let (below, above) = (values[at.floor() as usize], values[at.ceil() as usize]);
            below + (above - below) * at.fract()
        };
        Self {
            n: values.len(),
            median: quantile(0.5),
            lower_quartile: quantile(0.25),
            upper_quartile: quantile(0.75),
            min: values[0],
            max: values[values.len() - 1],
        }
    }

    /// Returns half of the distance between the quartiles, as a fraction of the median.
    pub fn spread(&self) -> f64 {
        let half = (self.upper_quartile - self.lower_quartile) / 2.0;
        if self.median > 0.0 { half / self.median } else { 0.0 }
    }

    /// Returns the uncertainty of the median: half of the notch of a box plot, `1.57 IQR / sqrt(n)` (McGill, Tukey and
    /// Larsen, 1978). If the notches of two samples do not overlap, their medians differ with about 95% confidence.
    pub fn notch(&self) -> f64 {
        1.57 * (self.upper_quartile - self.lower_quartile) / (self.n as f64).sqrt()
    }

    /// Returns true if two samples differ by more than noise: their notches do not overlap, and their medians differ by
    /// more than [`SMALLEST_CHANGE`].
    pub fn differs_from(&self, other: &Self) -> bool {
        let apart = (self.median - other.median).abs();
        apart > self.notch() + other.notch()
            && apart > SMALLEST_CHANGE * self.median.max(other.median)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_interpolate_between_measurements() {
        let sample = Sample::new(vec![5.0, 1.0, 2.0, 4.0, 3.0]);
        let Sample { n, median, lower_quartile, upper_quartile, min, max } = sample;
        assert_eq!((n, median, lower_quartile, upper_quartile), (5, 3.0, 2.0, 4.0));
        assert_eq!((min, max), (1.0, 5.0));
        assert!((sample.spread() - 1.0 / 3.0).abs() < 1e-12);
        let sample = Sample::new(vec![1.0, 2.0]);
        assert_eq!((sample.lower_quartile, sample.upper_quartile), (1.25, 1.75));
        assert_eq!(Sample::new(vec![2.0]).notch(), 0.0);
        assert_eq!(Sample::new(vec![9.0, 1.0, 2.0, 4.0]).median, 3.0);
    }

    #[test]
    fn noise_does_not_count_as_a_change() {
        let around = |middle: f64, by: f64| {
            Sample::new((-8..=8).map(|i| middle + by * f64::from(i) / 8.0).collect())
        };
        // The medians differ by 10%. The change counts if the spread is small, and does not count if the spread is
        // large.
        assert!(around(1.0, 0.05).differs_from(&around(1.1, 0.05)));
        assert!(!around(1.0, 0.5).differs_from(&around(1.1, 0.5)));
        // With almost no spread, a change of 2% does not count, and a change of 4% counts.
        assert!(!around(1.0, 1e-4).differs_from(&around(1.02, 1e-4)));
        assert!(around(1.0, 1e-4).differs_from(&around(1.04, 1e-4)));
    }
}
