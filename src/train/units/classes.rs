//! The setting `classes`: a number, names, or a dataset.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use crate::data::{DATASETS, ReadOptions, Source};

/// The classes of a network: their number, a name for each with commas between them, or the name of a dataset.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(into = "String")]
pub enum Classes {
    /// A number of classes.
    Number(usize),
    /// The names of the classes, in the order of their labels.
    Names(Vec<String>),
    /// The classes of a dataset.
    Of(Source),
}

impl Classes {
    /// Returns the names of the classes if they are `n`; the names of [`Classes::Number`] are numbers from 0.
    ///
    /// # Errors
    /// If there is another number of classes. The error is a text with the rule.
    pub fn names(&self, n: usize) -> Result<Vec<String>, String> {
        let names = match self {
            Classes::Number(number) => (0..*number).map(|class| class.to_string()).collect(),
            Classes::Names(names) => names.clone(),
            Classes::Of(source) => {
                let dataset = source.dataset();
                dataset.spec(dataset.options(n)).classes
            }
        };
        let n_names = names.len();
        let datasets: Vec<_> = DATASETS.iter().map(|dataset| dataset.name()).collect();
        let datasets = datasets.join(", ");
        (n_names == n).then_some(names).ok_or_else(|| {
            format!("be {n} classes, not {n_names}: the number {n}, {n} names, or a dataset ({datasets})")
        })
    }

    /// Returns the number of classes. For a dataset with several numbers of classes, it is the default one.
    pub fn number(&self) -> usize {
        match self {
            Classes::Number(number) => *number,
            Classes::Names(names) => names.len(),
            Classes::Of(source) => source.dataset().spec(ReadOptions::default()).n_classes(),
        }
    }
}

impl FromStr for Classes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(&dataset) = DATASETS.iter().find(|dataset| dataset.name() == text) {
            return Ok(Classes::Of(Source::Of(dataset)));
        }
        let classes = match text.parse() {
            Ok(number) => Classes::Number(number),
            Err(_) => Classes::Names(names(text)),
        };
        let is_single = matches!(&classes, Classes::Names(names) if names.len() == 1)
            && !text.trim_end().ends_with(',');
        if is_single || !(1..=65_535).contains(&classes.number()) {
            let names: Vec<_> = DATASETS.iter().map(|dataset| dataset.name()).collect();
            return Err(format!(
                "{text:?} is not a number from 1 to 65535, names with commas between them, or a dataset ({})",
                names.join(", ")
            ));
        }
        Ok(classes)
    }
}

/// Reads names with commas between them. Spaces around a name do not belong to it. A backslash in front of a comma, a space or
/// a backslash makes it a part of the name. A comma at the end is left out.
fn names(text: &str) -> Vec<String> {
    let mut names = vec![String::new()];
    // The length of the last name up to its last character that is kept.
    let mut kept = 0;
    let mut letters = text.chars().peekable();
    while let Some(letter) = letters.next() {
        let name = names.last_mut().expect("a name");
        let escaped = (letter == '\\').then(|| letters.next_if(|next| ", \\".contains(*next)));
        match (letter, escaped.flatten()) {
            (',', None) => {
                name.truncate(kept);
                kept = 0;
                names.push(String::new());
            }
            (space, None) if space.is_whitespace() && name.is_empty() => {}
            (letter, escaped) => {
                let is_space = escaped.is_none() && letter.is_whitespace();
                name.push(escaped.unwrap_or(letter));
                kept = if is_space { kept } else { name.len() };
            }
        }
    }
    names.last_mut().expect("a name").truncate(kept);
    if names.len() > 1 && names.last().is_some_and(String::is_empty) {
        names.pop();
    }
    names
}

/// Returns a name as [`names`] reads it.
fn written(name: &str) -> String {
    let mut text = name.replace('\\', "\\\\").replace(',', "\\,");
    if text.starts_with(' ') {
        text.insert(0, '\\');
    }
    if text.len() > 1 && text.ends_with(' ') {
        text.insert(text.len() - 1, '\\');
    }
    text
}

impl From<Classes> for String {
    fn from(classes: Classes) -> Self {
        classes.to_string()
    }
}

impl fmt::Display for Classes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Classes::Number(number) => write!(f, "{number}"),
            Classes::Names(names) => {
                let names: Vec<_> = names.iter().map(|name| written(name)).collect();
                // One name ends with a comma, because a text without a comma is a dataset or a number.
                f.write_str(&names.join(","))?;
                f.write_str(if names.len() == 1 { "," } else { "" })
            }
            Classes::Of(source) => f.write_str(source.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_a_number_names_or_a_dataset() {
        for (text, n) in [("7", 7), ("left,right", 2), ("cifar10", 10), ("cifar100", 100)] {
            let classes: Classes = text.parse().expect("classes");
            assert_eq!((classes.number(), classes.to_string().as_str()), (n, text));
            assert_eq!(classes.names(n).expect("all names").len(), n);
            assert!(classes.names(n + 1).is_err(), "{text}");
        }
        let classes: Classes = "left, right".parse().expect("two names");
        assert_eq!(classes.names(2), Ok(vec!["left".to_string(), "right".to_string()]));
        for names in
            [&["a,b", "c"][..], &[" cat", "dog "], &["one"], &["a\\", "b\\,"], &["x y", "ё"]]
        {
            let names: Vec<_> = names.iter().map(|name| name.to_string()).collect();
            let classes = Classes::Names(names);
            assert_eq!(classes.to_string().parse(), Ok(classes.clone()), "{classes}");
        }
        let coarse = Classes::Of(Source::from_name("cifar100").expect("a dataset"));
        assert_eq!(coarse.names(20).expect("the coarse classes").len(), 20);
        for bad in ["", "0", "-1", "cifar", "65536"] {
            assert!(bad.parse::<Classes>().is_err(), "{bad}");
        }
    }
}
