//! Median and spread of a time that was measured several times.

use serde::{Deserialize, Serialize};

/// Several measurements of the same thing.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Sample {
    /// Number of measurements.
    pub n: usize,
    /// Middle one, or the mean of the two in the middle.
    pub median: f64,
    /// Number that a quarter of them are below.
    pub lower_quartile: f64,
    /// Number that a quarter of them are above.
    pub upper_quartile: f64,
    /// Least one.
    pub min: f64,
    /// Largest one.
    pub max: f64,
}

/// Smallest change that is no noise, as a part of the median: between two runs, clocks, memory and other processes
/// differ by up to this, however steady each run is.
pub const SMALLEST_CHANGE: f64 = 0.03;

impl Sample {
    /// Returns the sample of measurements in any order.
    ///
    /// # Panics
    /// If there is no measurement.
    pub fn new(mut values: Vec<f64>) -> Self {
        assert!(!values.is_empty(), "there is no median of nothing");
        values.sort_by(f64::total_cmp);
        // Linear between the two that are nearest.
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

    /// Returns half of the distance between the quartiles, as a part of the median.
    pub fn spread(&self) -> f64 {
        let half = (self.upper_quartile - self.lower_quartile) / 2.0;
        if self.median > 0.0 { half / self.median } else { 0.0 }
    }

    /// Returns the uncertainty of the median: half of the notch of a box plot, `1.57 IQR / sqrt(n)` (McGill, Tukey and
    /// Larsen, 1978). Where the notches of two samples do not meet, their medians differ, with about 95%
    /// confidence.
    pub fn notch(&self) -> f64 {
        1.57 * (self.upper_quartile - self.lower_quartile) / (self.n as f64).sqrt()
    }

    /// Returns whether the times of another run differ by more than noise: the notches do not meet, and the
    /// medians are further apart than [`SMALLEST_CHANGE`].
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
    fn quartiles_are_where_they_are_said_to_be() {
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
    fn noise_is_no_change() {
        let around = |middle: f64, by: f64| {
            Sample::new((-8..=8).map(|i| middle + by * f64::from(i) / 8.0).collect())
        };
        // The same distance, with little noise and with much.
        assert!(around(1.0, 0.05).differs_from(&around(1.1, 0.05)));
        assert!(!around(1.0, 0.5).differs_from(&around(1.1, 0.5)));
        // Hardly any noise, and hardly any change.
        assert!(!around(1.0, 1e-4).differs_from(&around(1.02, 1e-4)));
        assert!(around(1.0, 1e-4).differs_from(&around(1.04, 1e-4)));
    }
}
