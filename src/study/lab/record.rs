//! The measurements of a study, as named lists of numbers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The measurements of a study. A name has parts with a slash between them: `plain56/seed 1/training error`.
/// JSON has no numbers that are not finite: a file has null in their place, which reads as NaN.
#[derive(Clone, Default, PartialEq, Debug, Serialize, Deserialize)]
#[serde(from = "Stored")]
pub struct Record(BTreeMap<String, Vec<f64>>);

/// A record as a file has it.
#[derive(Deserialize)]
struct Stored(BTreeMap<String, Vec<Option<f64>>>);

impl From<Stored> for Record {
    fn from(Stored(stored): Stored) -> Self {
        let numbers = |list: Vec<Option<f64>>| list.into_iter().map(|n| n.unwrap_or(f64::NAN));
        Self(stored.into_iter().map(|(name, list)| (name, numbers(list).collect())).collect())
    }
}

impl Record {
    /// Returns the numbers with this name; none if they were not measured.
    pub fn get(&self, name: &str) -> Option<&[f64]> {
        self.0.get(name).map(Vec::as_slice)
    }

    /// Returns the first number with this name; none if it was not measured.
    pub fn number(&self, name: &str) -> Option<f64> {
        self.get(name)?.first().copied()
    }

    /// Returns the names that begin with `prefix`, without it, and their numbers, in alphabetical order.
    pub fn below<'a, 'b>(
        &'a self,
        prefix: &'b str,
    ) -> impl Iterator<Item = (&'a str, &'a [f64])> + use<'a, 'b> {
        let from = self.0.range(prefix.to_string()..);
        let own = from.take_while(move |(name, _)| name.starts_with(prefix));
        own.map(|(name, numbers)| (&name[prefix.len()..], numbers.as_slice()))
    }

    /// Returns the numbers of all names that begin with `prefix` and end with `suffix`, in alphabetical order.
    pub fn all(&self, prefix: &str, suffix: &str) -> Vec<&[f64]> {
        let is_meant = |name: &str| name.starts_with(prefix) && name.ends_with(suffix);
        let all = self.0.iter().filter(|(name, _)| is_meant(name));
        all.map(|(_, numbers)| numbers.as_slice()).collect()
    }

    /// Adds numbers in place of those that have the same name.
    pub fn insert(&mut self, name: String, numbers: Vec<f64>) {
        self.0.insert(name, numbers);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_are_not_finite_are_read_as_nan() {
        let mut record = Record::default();
        record.insert("loss".to_string(), vec![0.1 + 0.2, f64::INFINITY]);
        let json = serde_json::to_string(&record).expect("numbers");
        assert_eq!(json, "{\"loss\":[0.30000000000000004,null]}");
        let read: Record = serde_json::from_str(&json).expect("a record");
        let loss = read.get("loss").expect("numbers");
        assert!(loss[0] == 0.1 + 0.2 && loss[1].is_nan(), "{loss:?}");
    }

    #[test]
    fn names_below_a_prefix_end_with_the_prefix() {
        let mut record = Record::default();
        for name in ["a/1", "b/1", "b/2", "c"] {
            record.insert(name.to_string(), vec![1.0]);
        }
        assert_eq!(record.below("b/").map(|(name, _)| name).collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!((record.number("c"), record.number("d")), (Some(1.0), None));
    }
}
