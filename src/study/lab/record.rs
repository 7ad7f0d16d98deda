//! The measurements of a study, as named lists of numbers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The measurements of a study. A name has parts with a slash between them: `plain56/seed 1/training error`.
#[derive(Clone, Default, PartialEq, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Record(BTreeMap<String, Vec<f64>>);

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
    pub fn below<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a [f64])> {
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
    fn names_below_a_prefix_end_with_the_prefix() {
        let mut record = Record::default();
        for name in ["a/1", "b/1", "b/2", "c"] {
            record.insert(name.to_string(), vec![1.0]);
        }
        assert_eq!(record.below("b/").map(|(name, _)| name).collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!((record.number("c"), record.number("d")), (Some(1.0), None));
    }
}
