//! The choice of the training pictures that are held out for validation.

use sha2::{Digest, Sha256};

use super::items::{Item, Listing, Part};
use crate::data::HeldOut;

/// The part that is held out if the folder has neither a validation part nor a test part, and no setting has a value.
const DEFAULT: f64 = 0.1;

/// Returns for each picture whether it is held out. Only training pictures are.
///
/// A picture is held out if the hash of its path is low. So a picture stays in its part when others are added, and each
/// class loses about the same part of its pictures. Without a value in the settings, a class that would lose all its
/// pictures keeps them.
///
/// # Errors
/// If the folder has a validation part of its own, or a class is left without a training picture. The error is a message
/// about the folder.
pub(super) fn choose(listing: &Listing, held_out: Option<HeldOut>) -> Result<Vec<bool>, String> {
    let n_train = listing.items.iter().filter(|item| item.part == Part::Training).count();
    let (items, others) = listing.items.split_at(n_train);
    let has_other_parts = listing.has_validation || listing.has_test;
    let value = held_out.unwrap_or(match has_other_parts {
        true => HeldOut::NONE,
        false => HeldOut::Part(DEFAULT),
    });
    if value == HeldOut::NONE {
        return Ok(vec![false; listing.items.len()]);
    }
    if listing.has_validation {
        return Err(format!(
            "has a validation part, so no training pictures are held out; leave out validation {value}, or remove the \
             validation part"
        ));
    }
    let hashes: Vec<u64> = items.iter().map(hash).collect();
    let mut chosen: Vec<bool> = match value {
        HeldOut::Part(part) => hashes.iter().map(|&hash| fraction(hash) < part).collect(),
        HeldOut::Number(n) => lowest(&hashes, n),
    };
    for (label, class) in listing.classes.iter().enumerate() {
        let of_class = |ix: &usize| usize::from(items[*ix].label) == label;
        let members = || (0..items.len()).filter(of_class);
        if members().any(|ix| !chosen[ix]) {
            continue;
        }
        if held_out.is_some() {
            return Err(format!(
                "validation {value} leaves the class {class} without a training picture; hold out fewer, or add pictures"
            ));
        }
        let members: Vec<usize> = members().collect();
        members.into_iter().for_each(|ix| chosen[ix] = false);
    }
    chosen.extend(others.iter().map(|_| false));
    Ok(chosen)
}

/// Returns the first 64 bits of the SHA-256 of a picture's key.
fn hash(item: &Item) -> u64 {
    let head = Sha256::digest(&item.key).into_iter().take(8);
    head.fold(0, |bits, byte| bits << 8 | u64::from(byte))
}

/// Returns a hash as a number from 0 to 1.
fn fraction(hash: u64) -> f64 {
    hash as f64 / 2f64.powi(64)
}

/// Returns true for each of the `n` lowest hashes; of equal hashes for the earlier ones.
fn lowest(hashes: &[u64], n: u64) -> Vec<bool> {
    let mut order: Vec<usize> = (0..hashes.len()).collect();
    order.sort_by_key(|&ix| hashes[ix]);
    let mut chosen = vec![false; hashes.len()];
    order
        .into_iter()
        .take(usize::try_from(n).unwrap_or(usize::MAX))
        .for_each(|ix| chosen[ix] = true);
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(names: &[(&str, u16)]) -> Listing {
        let item = |&(name, label): &(&str, u16)| {
            let key = format!("{label}/{name}");
            Item { file: key.clone().into(), key: key.into_bytes(), label, part: Part::Training }
        };
        let n_classes = names.iter().map(|(_, label)| label + 1).max().unwrap_or_default();
        Listing {
            items: names.iter().map(item).collect(),
            classes: (0..n_classes).map(|class| format!("class {class}")).collect(),
            ..Listing::default()
        }
    }

    fn many(n: u16) -> Listing {
        let names: Vec<String> = (0..n).map(|ix| format!("{ix}.png")).collect();
        let named: Vec<_> =
            names.iter().enumerate().map(|(ix, name)| (&name[..], ix as u16 % 2)).collect();
        listing(&named)
    }

    #[test]
    fn a_part_of_each_class_is_held_out_and_stays_when_pictures_are_added() {
        let (few, all) = (many(500), many(2000));
        let part = Some(HeldOut::Part(0.2));
        let (of_few, of_all) = (choose(&few, part).unwrap(), choose(&all, part).unwrap());
        assert_eq!(of_few[..], of_all[..500]);
        for label in 0..2 {
            let n = (0..2000).filter(|&ix| ix % 2 == label && of_all[ix]).count();
            assert!((160..240).contains(&n), "{n} of 1000");
        }
        // The choice never changes between versions.
        let held: Vec<usize> = (0..40).filter(|&ix| of_few[ix]).collect();
        assert_eq!(held, [2, 5, 6, 13, 21, 27]);
    }

    #[test]
    fn a_number_holds_out_the_lowest_hashes() {
        let all = many(100);
        let by_number = choose(&all, Some(HeldOut::Number(30))).unwrap();
        assert_eq!(by_number.iter().filter(|held| **held).count(), 30);
        let hashes: Vec<u64> = all.items.iter().map(hash).collect();
        let highest = (0..100).filter(|&ix| by_number[ix]).map(|ix| hashes[ix]).max().unwrap();
        assert!((0..100).all(|ix| by_number[ix] == (hashes[ix] <= highest)));
    }

    #[test]
    fn the_default_holds_out_a_tenth_if_there_is_no_other_part() {
        let mut all = many(1000);
        let n =
            |listing: &Listing| choose(listing, None).unwrap().iter().filter(|held| **held).count();
        assert!((70..130).contains(&n(&all)), "{}", n(&all));
        assert_eq!(choose(&all, Some(HeldOut::NONE)).unwrap(), vec![false; 1000]);
        all.has_test = true;
        assert_eq!(n(&all), 0);
        all.has_validation = true;
        assert!(choose(&all, Some(HeldOut::Part(0.1))).unwrap_err().contains("validation part"));
        assert!(choose(&all, Some(HeldOut::NONE)).is_ok());
    }

    #[test]
    fn a_class_without_training_pictures_is_an_error_unless_the_part_is_the_default() {
        // The hash of "1/x13.png", as a number from 0 to 1, is below 0.1.
        let two = listing(&[("a.png", 0), ("x13.png", 1)]);
        assert!(fraction(hash(&two.items[1])) < DEFAULT, "{}", fraction(hash(&two.items[1])));
        assert_eq!(choose(&two, None).unwrap(), [false, false]);
        let error = choose(&two, Some(HeldOut::Part(0.1))).unwrap_err();
        assert!(error.contains("class 1"), "{error}");
        assert!(choose(&two, Some(HeldOut::Number(2))).is_err());
    }
}
