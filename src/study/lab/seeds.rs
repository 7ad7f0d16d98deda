//! Measurements of several seeds, which a record has as `KEY/seed N/NAME`.

use std::collections::BTreeMap;

use wgrad::base::chart::lines::Series;

use super::{Interval, Record, Spread};

impl Record {
    /// Returns the numbers `name` of each seed that was measured below `key`, by seed.
    pub fn by_seed(&self, key: &str, name: &str) -> BTreeMap<u64, &[f64]> {
        let prefix = format!("{key}/seed ");
        let own = self.below(&prefix).filter_map(|(found, numbers)| {
            let seed = found.strip_suffix(name)?.strip_suffix('/')?;
            Some((seed.parse().ok()?, numbers))
        });
        own.collect()
    }

    /// Returns the numbers `name` of each seed that was measured below `key`, in the order of the seeds.
    pub fn of_seeds(&self, key: &str, name: &str) -> Vec<&[f64]> {
        self.by_seed(key, name).into_values().collect()
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

    /// Returns the interval of the difference between two keys, `of(a) - of(b)`, over the seeds that both have. `of` gets
    /// the numbers `name` of a seed. None without such seeds.
    pub fn difference(
        &self,
        [a, b]: [&str; 2],
        name: &str,
        of: impl Fn(&[f64]) -> f64,
    ) -> Option<Interval> {
        let number = |(seed, numbers): (u64, &[f64])| (seed, of(numbers));
        let [a, b] = [a, b].map(|key| self.by_seed(key, name).into_iter().map(number).collect());
        difference(&a, &b)
    }

    /// Returns the interval of the difference between the last of the numbers `name` of two keys, as
    /// [`Record::difference`] does.
    pub fn difference_at_end(&self, keys: [&str; 2], name: &str) -> Option<Interval> {
        self.difference(keys, name, |numbers| numbers.last().copied().unwrap_or(f64::NAN))
    }

    /// Returns the curve of the numbers `name` over `xs`, with its band over seeds.
    pub fn curve(&self, key: &str, name: &str, label: &str, style: usize, xs: &[f64]) -> Series {
        Spread::series(label, style, xs, &self.of_seeds(key, name))
    }
}

/// Returns the spread of a number of each seed; none without seeds.
pub fn spread(of_seeds: &BTreeMap<u64, f64>) -> Option<Spread> {
    Spread::of(&of_seeds.values().copied().collect::<Vec<_>>())
}

/// Returns the interval of the differences `a - b` of the seeds that both have; none without such seeds.
pub fn difference(a: &BTreeMap<u64, f64>, b: &BTreeMap<u64, f64>) -> Option<Interval> {
    let pairs = a.iter().filter_map(|(seed, a)| Some(a - b.get(seed)?));
    Interval::of(&pairs.collect::<Vec<_>>())
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

    #[test]
    fn seeds_are_in_the_order_of_numbers() {
        let mut record = Record::default();
        for seed in [8, 9, 10] {
            record.insert(format!("a/seed {seed}/error"), vec![f64::from(seed)]);
        }
        assert_eq!(record.of_seeds("a", "error"), [[8.0], [9.0], [10.0]]);
    }

    #[test]
    fn differences_are_those_of_the_same_seeds() {
        let mut record = Record::default();
        for (seed, error) in [(8, 0.5), (9, 0.1), (10, 0.3)] {
            record.insert(format!("a/seed {seed}/error"), vec![9.0, error]);
        }
        // Seed 8 has no partner.
        for (seed, error) in [(9, 0.0), (10, 0.2), (11, 9.0)] {
            record.insert(format!("b/seed {seed}/error"), vec![0.0, error]);
        }
        let found = record.difference_at_end(["a", "b"], "error").expect("two seeds");
        for number in [found.mean, found.low, found.high] {
            assert!((number - 0.1).abs() < 1e-9, "{found:?}");
        }
        assert_eq!(record.difference_at_end(["a", "c"], "error"), None);
    }
}
