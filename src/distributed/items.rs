//! The comparison of values that must be equal on all ranks.

use std::collections::BTreeMap;

/// Named values of one rank.
pub(super) type Items = Vec<(String, String)>;

/// Returns a message about the first item that differs between ranks: its name, and each value with its ranks. None if
/// all are equal.
pub(super) fn difference(of_ranks: &[Items]) -> Option<String> {
    let names = of_ranks.iter().flatten().map(|(name, _)| name);
    let value = |items: &Items, name: &str| {
        let found = items.iter().find(|(known, _)| known == name);
        found.map_or("missing".to_string(), |(_, value)| value.clone())
    };
    for name in names {
        let mut ranks: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (rank, items) in of_ranks.iter().enumerate() {
            ranks.entry(value(items, name)).or_default().push(rank);
        }
        if ranks.len() > 1 {
            let mut values: Vec<_> = ranks.into_iter().collect();
            values.sort_by_key(|(_, ranks)| ranks[0]);
            let values: Vec<_> = values
                .iter()
                .map(|(value, ranks)| format!("{value} on {}", ranks_text(ranks)))
                .collect();
            let values = values.join(", ");
            return Some(format!("{name}: {values}; all ranks need the same"));
        }
    }
    None
}

/// Returns ranks as text: `rank 3`, `ranks 0 and 2`, `ranks 0, 2 and 4 to 7`. `ranks` is not empty, and ascends.
pub(super) fn ranks_text(ranks: &[usize]) -> String {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for &rank in ranks {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == rank => *last = rank,
            _ => runs.push((rank, rank)),
        }
    }
    let mut parts: Vec<String> = Vec::new();
    for (first, last) in runs {
        match last - first {
            0 => parts.push(first.to_string()),
            1 => parts.extend([first.to_string(), last.to_string()]),
            _ => parts.push(format!("{first} to {last}")),
        }
    }
    let word = if ranks.len() == 1 { "rank" } else { "ranks" };
    match parts.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{word} {} and {last}", rest.join(", ")),
        _ => format!("{word} {}", parts.concat()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(values: &[(&str, &str)]) -> Items {
        values.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
    }

    #[test]
    fn the_first_item_that_differs_is_named_with_the_ranks_of_each_value() {
        let own = items(&[("version", "0.1.0"), ("data", "abc"), ("step", "7")]);
        assert_eq!(difference(&[own.clone(), own.clone()]), None);
        let other = items(&[("version", "0.1.0"), ("data", "aaa"), ("step", "8")]);
        let found = difference(&[own.clone(), own.clone(), other.clone(), own.clone()]);
        let expected = "data: abc on ranks 0, 1 and 3, aaa on rank 2; all ranks need the same";
        assert_eq!(found.as_deref(), Some(expected));
        // The values come in the order of their first ranks.
        let found = difference(&[other, own.clone()]).expect("a difference");
        assert!(found.starts_with("data: aaa on rank 0, abc on rank 1;"), "{found}");
        let fewer = items(&[("version", "0.1.0"), ("data", "abc")]);
        let expected = "step: missing on rank 0, 7 on rank 1; all ranks need the same";
        assert_eq!(difference(&[fewer, own]).as_deref(), Some(expected));
    }

    #[test]
    fn ranks_have_short_names() {
        assert_eq!(ranks_text(&[3]), "rank 3");
        assert_eq!(ranks_text(&[0, 1]), "ranks 0 and 1");
        assert_eq!(ranks_text(&[0, 1, 2, 3]), "ranks 0 to 3");
        assert_eq!(ranks_text(&[0, 2, 4, 5, 6, 9]), "ranks 0, 2, 4 to 6 and 9");
    }
}
