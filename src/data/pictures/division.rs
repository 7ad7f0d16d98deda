//! The pictures of a folder, divided into training, validation and test pictures.

use std::path::Path;

use super::error::{PicturesError, count, first_few};
use super::held_out;
use super::items::{Listing, Part};
use super::listing::list;
use crate::base::shown::Shown;
use crate::data::{DataError, HeldOut};

/// Lists the pictures of a folder, and returns the part of each picture after the held-out ones became validation
/// pictures. The listing has warnings about parts that cannot measure all classes.
///
/// # Errors
/// If the folder does not hold pictures in one of the layouts, or the held-out part leaves a class without training
/// pictures.
pub(super) fn divided(
    dir: &Path,
    held_out: Option<HeldOut>,
) -> Result<(Listing, Vec<Part>), DataError> {
    let mut listing = list(dir)?;
    let of_classes = |reason| PicturesError::Classes { dir: dir.to_path_buf(), reason };
    let is_held_out = held_out::choose(&listing, held_out).map_err(of_classes)?;
    let part = |(part, is_held_out)| if is_held_out { Part::Validation } else { part };
    let parts = listing.items.iter().map(|item| item.part).zip(is_held_out);
    let parts: Vec<Part> = parts.map(part).collect();
    if held_out.is_none()
        && !listing.has_validation
        && !listing.has_test
        && parts.iter().all(|part| *part == Part::Training)
    {
        listing.warnings.push(format!(
            "{} has too few pictures to hold some out, so no picture tests the network",
            dir.shown()
        ));
    }
    let missing =
        [Part::Validation, Part::Test].map(|part| missing_classes(&listing, &parts, part));
    listing.warnings.extend(missing.into_iter().flatten());
    Ok((listing, parts))
}

/// Returns the warning about the classes without a picture in a part; None if the part has no pictures, or has pictures of
/// each class.
fn missing_classes(listing: &Listing, parts: &[Part], part: Part) -> Option<String> {
    let Listing { items, classes, .. } = listing;
    let mut is_there = vec![false; classes.len()];
    let of_part = items.iter().zip(parts).filter(|(_, of)| **of == part);
    of_part.for_each(|(item, _)| is_there[usize::from(item.label)] = true);
    let missing: Vec<&String> = classes
        .iter()
        .zip(&is_there)
        .filter(|(_, is_there)| !**is_there)
        .map(|(name, _)| name)
        .collect();
    if missing.is_empty() || missing.len() == classes.len() {
        return None;
    }
    let has = if missing.len() == 1 { "has" } else { "have" };
    Some(format!(
        "{} {has} no {} picture: {}",
        count(missing.len(), "class"),
        part.name(),
        first_few(missing.iter().map(|name| (*name).clone()), missing.len())
    ))
}
