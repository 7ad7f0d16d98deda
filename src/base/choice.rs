//! Values that a setting or a flag selects by name, such as `naive`, `default` and `tuned`.
use crate::base::sorting::sort_by;

/// A type with a few values. Each value has a name, in kebab case, and a help text.
pub trait Choice: Copy + PartialEq + Send + Sync + 'static {
    /// Every value with its name and its help text, in the order of help texts and messages.
    const ALL: &'static [(Self, &'static str, &'static str)];

    /// Returns the name.
    ///
    /// # Panics
    /// If the value is missing in [`Choice::ALL`].
    fn name(self) -> &'static str {
        let entry = Self::ALL.iter().find(|(value, ..)| *value == self);
        entry.expect("every value is in the list").1
    }

    /// Returns every value.
    fn values() -> impl Iterator<Item = Self> + Clone {
        Self::ALL.iter().map(|&(value, ..)| value)
    }

    /// Returns the value with this name.
    ///
    /// # Errors
    /// If no value has this name: the nearest name and all names, by [`unknown`].
    fn from_name(name: &str) -> Result<Self, String> {
        let value = Self::ALL.iter().find(|entry| entry.1 == name).map(|entry| entry.0);
        value.ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|entry| entry.1).collect();
            unknown(name, &names)
        })
    }
}

impl Choice for bool {
    const ALL: &'static [(Self, &'static str, &'static str)] =
        &[(false, "false", "Off"), (true, "true", "On")];
}

/// The smallest similarity of a name to an unknown one with which an error mentions the name; 1 for equal names.
const SIMILAR: f64 = 0.7;

/// Returns the `n` names of a list that are nearest to a name that is not in the list, the nearest first.
pub fn nearest<'a>(name: &str, names: &[&'a str], n: usize) -> Vec<&'a str> {
    // The number of different characters comes first: it tells `resnet50` from `resnet152`, which are equally similar to
    // `resnet51`.
    let order = |candidate: &str| {
        (strsim::damerau_levenshtein(name, candidate), -strsim::jaro(name, candidate))
    };
    let mut names = names.to_vec();
    sort_by(&mut names, |a, b| order(a).partial_cmp(&order(b)).expect("numbers"));
    names.truncate(n);
    names
}

/// Returns the text of the error for a name that is not in a list: the nearest name, if one is similar, and the list.
pub fn unknown(name: &str, names: &[&str]) -> String {
    unknown_of_many(name, names, &format!("the names are {}", names.join(", ")))
}

/// Returns the same for a list that is too long for an error: `list` takes its place, and states how to see the names.
pub fn unknown_of_many(name: &str, names: &[&str], list: &str) -> String {
    let nearest = nearest(name, names, 1).into_iter().next();
    let nearest = nearest.filter(|nearest| strsim::jaro(name, nearest) > SIMILAR);
    let nearest = nearest.map_or(String::new(), |nearest| format!("did you mean {nearest}? "));
    format!("{name:?} is unknown; {nearest}{list}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_name_has_the_nearest_one_and_the_list() {
        let names = ["one-cycle", "constant", "cosine"];
        let text = unknown("cosin", &names);
        assert_eq!(
            text,
            "\"cosin\" is unknown; did you mean cosine? the names are one-cycle, constant, cosine"
        );
        assert_eq!(
            unknown("x", &names),
            "\"x\" is unknown; the names are one-cycle, constant, cosine"
        );
    }
}
