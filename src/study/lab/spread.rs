//! Numbers over several seeds.

use std::fmt;

use wgrad::base::chart::lines::Series;

/// The mean of a number over several seeds, and its lowest and highest value.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Spread {
    /// The mean.
    pub mean: f64,
    /// The lowest value.
    pub low: f64,
    /// The highest value.
    pub high: f64,
}

impl Spread {
    /// Returns the spread of some numbers; none without numbers.
    pub fn of(numbers: &[f64]) -> Option<Self> {
        let low = numbers.iter().copied().reduce(f64::min)?;
        let high = numbers.iter().copied().reduce(f64::max)?;
        Some(Self { mean: numbers.iter().sum::<f64>() / numbers.len() as f64, low, high })
    }

    /// Returns true if every value of `self` is below every value of `other`.
    pub fn is_below(&self, other: &Self) -> bool {
        self.high < other.low
    }

    /// Returns fractions as percent: `12.3% (11.9 to 12.8)`.
    pub fn percent(&self) -> String {
        let [mean, low, high] = [self.mean, self.low, self.high].map(|part| 100.0 * part);
        if low == high {
            format!("{mean:.1}%")
        } else {
            format!("{mean:.1}% ({low:.1} to {high:.1})")
        }
    }

    /// Returns the curve of the means over several seeds, with a band from the lowest to the highest number. `curves`
    /// are the numbers of each seed, at the same places `xs`.
    pub fn series(name: &str, style: usize, xs: &[f64], curves: &[&[f64]]) -> Series {
        let at = |ix: usize| {
            let numbers: Vec<f64> =
                curves.iter().filter_map(|curve| curve.get(ix).copied()).collect();
            Self::of(&numbers)
        };
        let places = xs.iter().enumerate().filter_map(|(ix, &x)| Some((x, at(ix)?)));
        let (xs, spreads): (Vec<f64>, Vec<Self>) = places.unzip();
        let line = Self::line(name, style, &xs, &spreads);
        if curves.len() < 2 { Series { band: vec![], ..line } } else { line }
    }

    /// Returns the curve of the means of some spreads over `xs`, with their band.
    pub fn line(name: &str, style: usize, xs: &[f64], spreads: &[Self]) -> Series {
        let points = xs.iter().zip(spreads).map(|(&x, spread)| (x, spread.mean)).collect();
        let band = spreads.iter().map(|spread| (spread.low, spread.high)).collect();
        Series { name: name.to_string(), points, band, style, ..Series::default() }
    }

    /// Returns the curve of the means with a band, as [`Spread::series`] does. `places` are the numbers of all seeds at each
    /// of the places `xs`.
    pub fn series_at(name: &str, style: usize, xs: &[f64], places: &[Vec<f64>]) -> Series {
        let seeds = transposed(places);
        Self::series(name, style, xs, &seeds.iter().map(Vec::as_slice).collect::<Vec<_>>())
    }
}

/// Returns the numbers of each seed, from those of all seeds at each place.
pub fn transposed(places: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let n_seeds = places.iter().map(Vec::len).min().unwrap_or(0);
    (0..n_seeds).map(|seed| places.iter().map(|place| place[seed]).collect()).collect()
}

/// Returns the number in the middle of a sorted list; the mean of both numbers there; NaN for an empty list.
pub fn median(numbers: &[f64]) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |ix: usize| sorted.get(ix).copied().unwrap_or(f64::NAN);
    (at(sorted.len() / 2) + at(sorted.len().saturating_sub(1) / 2)) / 2.0
}

impl fmt::Display for Spread {
    /// Writes the mean, and the lowest and the highest value: `1.2340 (1.1000 to 1.4000)`. The number of digits is
    /// the format's, else 4.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mean, low, high } = self;
        let digits = f.precision().unwrap_or(4);
        match low == high {
            true => write!(f, "{mean:.digits$}"),
            false => write!(f, "{mean:.digits$} ({low:.digits$} to {high:.digits$})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_has_the_mean_and_both_ends() {
        let spread = Spread::of(&[0.1, 0.3, 0.2]).expect("numbers");
        assert_eq!(spread.percent(), "20.0% (10.0 to 30.0)");
        assert!(Spread::of(&[]).is_none());
        assert!(spread.is_below(&Spread::of(&[0.31]).expect("a number")));
        assert!(!spread.is_below(&Spread::of(&[0.3, 0.5]).expect("numbers")));
    }

    #[test]
    fn a_curve_of_two_seeds_has_a_band() {
        let series = Spread::series("a", 0, &[1.0, 2.0], &[&[0.0, 4.0], &[2.0]]);
        assert_eq!(series.points, [(1.0, 1.0), (2.0, 4.0)]);
        assert_eq!(series.band, [(0.0, 2.0), (4.0, 4.0)]);
    }
}
