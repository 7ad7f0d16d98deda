//! Measurements of several seeds, which a record has as `KEY/seed N/NAME`.

use wgrad::base::chart::lines::{Chart, Series, Unit};

use super::{Page, Record, Spread};

/// The caption of a chart with bands over seeds.
pub const BAND: &str =
    "A band reaches from the lowest to the highest of the seeds, a line is their mean.";

impl Record {
    /// Returns the numbers `name` of each seed that was measured below `key`.
    pub fn of_seeds(&self, key: &str, name: &str) -> Vec<&[f64]> {
        let prefix = format!("{key}/seed ");
        let seeds = self.below(&prefix).filter_map(|(found, _)| found.strip_suffix(name));
        let seeds: Vec<String> = seeds.map(str::to_string).collect();
        let own = seeds.iter().filter(|seed| seed.ends_with('/'));
        own.filter_map(|seed| self.get(&format!("{prefix}{seed}{name}"))).collect()
    }

    /// Returns the spread over seeds of number `ix` of the numbers `name`; none if it was not measured.
    pub fn spread(&self, key: &str, name: &str, ix: usize) -> Option<Spread> {
        let numbers = self.of_seeds(key, name).into_iter().filter_map(|list| list.get(ix).copied());
        Spread::of(&numbers.collect::<Vec<_>>())
    }

    /// Returns the spread over seeds of the last of the numbers `name`; none if it was not measured.
    pub fn last(&self, key: &str, name: &str) -> Option<Spread> {
        let ends = self.of_seeds(key, name).into_iter().filter_map(|list| list.last().copied());
        Spread::of(&ends.collect::<Vec<_>>())
    }

    /// Returns the curve of the numbers `name` over `xs`, with its band over seeds.
    pub fn curve(&self, key: &str, name: &str, label: &str, style: usize, xs: &[f64]) -> Series {
        Spread::series(label, style, xs, &self.of_seeds(key, name))
    }
}

impl Spread {
    /// Returns the curve of the means of some spreads over `xs`, with their band.
    pub fn line(label: &str, style: usize, xs: &[f64], spreads: &[Self]) -> Series {
        let points = xs.iter().zip(spreads).map(|(&x, spread)| (x, spread.mean)).collect();
        let band = spreads.iter().map(|spread| (spread.low, spread.high)).collect();
        Series { name: label.to_string(), points, band, style, ..Series::default() }
    }
}

impl Page {
    /// Adds a chart of curves. `x` is the name of the horizontal axis and the kind of its numbers, `y` the kind of the
    /// numbers on the vertical axis. A sentence about bands follows the caption if a curve has one.
    pub fn curves(
        &mut self,
        title: &str,
        x: (&str, Unit),
        y: Unit,
        series: impl IntoIterator<Item = Series>,
        caption: &str,
    ) {
        let series: Vec<Series> = series.into_iter().collect();
        let has_band = series.iter().any(|series| !series.band.is_empty());
        let (title, x_label) = (title.to_string(), x.0.to_string());
        let chart = Chart { title, x_label, x_unit: x.1, y_unit: y, series, ..Chart::default() };
        let band = match has_band {
            true => format!(" {BAND}"),
            false => String::new(),
        };
        self.chart(&chart, &format!("{caption}{band}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_seeds_have_the_whole_name() {
        let mut record = Record::default();
        for (seed, error) in [(3, 0.5), (4, 0.25)] {
            record.insert(format!("a/seed {seed}/error"), vec![1.0, error]);
            record.insert(format!("a/seed {seed}/test error"), vec![9.0]);
            record.insert(format!("a b/seed {seed}/error"), vec![9.0]);
        }
        assert_eq!(record.of_seeds("a", "error"), [[1.0, 0.5], [1.0, 0.25]]);
        let spread = record.spread("a", "error", 1).expect("two seeds");
        assert_eq!(spread, Spread { mean: 0.375, low: 0.25, high: 0.5 });
        assert_eq!(record.spread("a", "error", 2), None);
        assert_eq!(record.last("a", "error"), Some(spread));
        let curve = record.curve("a", "error", "a", 0, &[5.0, 6.0]);
        assert_eq!(
            (curve.points, curve.band),
            (vec![(5.0, 1.0), (6.0, 0.375)], vec![(1.0, 1.0), (0.25, 0.5)])
        );
    }
}
