//! A time that was measured several times.

use serde::{Deserialize, Serialize};

use crate::measure::profile::median;

/// Several measurements of the same thing: the middle, and how far they spread.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Sample {
    /// How many there are.
    pub n: usize,
    /// The middle one.
    pub median: f64,
    /// A quarter of them are below this.
    pub lower_quartile: f64,
    /// A quarter of them are above this.
    pub upper_quartile: f64,
    /// The least.
    pub min: f64,
    /// The largest.
    pub max: f64,
}

/// A change of less than this is none, however steady the times of each run are: between two runs,
/// clocks, memory and neighbours differ by more.
pub const SMALLEST_CHANGE: f64 = 0.03;

impl Sample {
    /// Of measurements in any order.
    ///
    /// # Panics
    /// When there is none.
    pub fn new(mut values: Vec<f64>) -> Self {
        assert!(!values.is_empty(), "there is no median of nothing");
        values.sort_by(f64::total_cmp);
        // Between the two that are nearest, as most programs have it.
        let quantile = |part: f64| {
            let at = part * (values.len() - 1) as f64;
            let (below, above) = (values[at.floor() as usize], values[at.ceil() as usize]);
            below + (above - below) * at.fract()
        };
        Self {
            n: values.len(),
            median: median(&values),
            lower_quartile: quantile(0.25),
            upper_quartile: quantile(0.75),
            min: values[0],
            max: values[values.len() - 1],
        }
    }

    /// Half of the distance between the quartiles, as a part of the median.
    pub fn spread(&self) -> f64 {
        let half = (self.upper_quartile - self.lower_quartile) / 2.0;
        if self.median > 0.0 { half / self.median } else { 0.0 }
    }

    /// How uncertain the median is: half of the notch of a box plot, `1.57 IQR / sqrt(n)` (McGill, Tukey and
    /// Larsen, 1978). Where the notches of two samples do not meet, their medians differ, with about 95%
    /// confidence.
    pub fn notch(&self) -> f64 {
        1.57 * (self.upper_quartile - self.lower_quartile) / (self.n as f64).sqrt()
    }

    /// Whether the times of another run differ from these by more than noise: the notches do not meet, and
    /// the medians are further apart than [`SMALLEST_CHANGE`].
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
