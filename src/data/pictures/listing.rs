//! The pictures of a folder, with their classes and parts, before any picture is read.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::{fs, io};

use super::error::{PicturesError, Unreadable, and_more, first_few};
use super::items::{Found, Item, Listing, Part, PartOf};
use super::lists;
use crate::base::shown::{Shown, escaped};
use crate::data::DataError;
use crate::data::image_file::{files_below, is_hidden, is_named_as_picture};

/// The largest number of classes.
const MAX_CLASSES: usize = 65_535;

/// Lists the pictures of a folder, which has one of the three layouts.
///
/// # Errors
/// If there is no folder, it cannot be listed, has no training pictures, or its classes are not those of a dataset.
pub(super) fn list(dir: &Path) -> Result<Listing, DataError> {
    match dir.metadata() {
        Ok(data) if data.is_dir() => {}
        Ok(_) => return Err(DataError::NotAFolder { path: dir.to_path_buf() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(PicturesError::NoFolder { dir: dir.to_path_buf() }.into());
        }
        Err(source) => return Err(DataError::Unreadable { path: dir.to_path_buf(), source }),
    }
    let mut listing = Listing::default();
    let parts = match lists::find(dir)? {
        Some(parts) => parts,
        None => in_folders(dir, &mut listing)?,
    };
    let is_list = parts.iter().any(|part| !part.place.is_dir());
    number(dir, parts, is_list, &mut listing)?;
    Ok(listing)
}

/// Returns the pictures of each part of a folder whose classes are folders.
fn in_folders(dir: &Path, listing: &mut Listing) -> Result<Vec<PartOf>, DataError> {
    let folders = folders(dir)?;
    let mut parts: Vec<(Part, &OsString)> =
        folders.iter().filter_map(|name| Some((Part::of_name(name)?, name))).collect();
    // Parts in their order; the names of a part keep theirs.
    parts.sort_by_key(|(part, _)| *part);
    let training = parts.iter().take_while(|(part, _)| *part == Part::Training);
    let mut is_divided = false;
    for (_, name) in training {
        is_divided |= !self::folders(&dir.join(name))?.is_empty();
    }
    if is_divided {
        if let Some([(part, first), (_, second)]) =
            parts.array_windows().find(|[(first, _), (second, _)]| first == second)
        {
            let (part, first, second) =
                (part.name(), Path::new(first).shown(), Path::new(second).shown());
            let reason = format!("has two {part} parts, {first} and {second}; remove one of them");
            return Err(PicturesError::Classes { dir: dir.to_path_buf(), reason }.into());
        }
        let others: Vec<_> = folders.iter().filter(|name| Part::of_name(name).is_none()).collect();
        if let Some(first) = others.first() {
            listing.warnings.push(format!(
                "not read, because the training pictures are in the folder {}: {} in {}",
                Path::new(parts[0].1).shown(),
                and_more(Path::new(first), others.len() - 1),
                dir.shown()
            ));
        }
        let of_part =
            |(part, name): (Part, &OsString)| of_folder(dir, part, name.as_ref(), listing);
        return parts.into_iter().map(of_part).collect();
    }
    if !folders.is_empty() && parts.len() == folders.len() {
        let reason = "has no training part".to_string();
        return Err(PicturesError::NoPictures { dir: dir.to_path_buf(), reason }.into());
    }
    Ok(vec![of_folder(dir, Part::Training, Path::new(""), listing)?])
}

/// Returns the names of the folders in a folder that are not hidden, in the order of their bytes. Symbolic links are
/// followed.
fn folders(dir: &Path) -> Result<Vec<OsString>, DataError> {
    let failed = |source| DataError::Unreadable { path: dir.to_path_buf(), source };
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.path().is_dir() && !is_hidden(&entry.path()) {
            names.push(entry.file_name());
        }
    }
    names.sort_by(|a, b| a.as_encoded_bytes().cmp(b.as_encoded_bytes()));
    Ok(names)
}

/// Returns the pictures of a part whose classes are folders, in the order of the bytes of `CLASS/file`. `place` is the
/// path of the part, relative to the folder of the dataset. Folders that cannot be read are added to the unreadable files
/// of the listing. A link to a folder above is not followed, and gives a warning.
fn of_folder(
    dir: &Path,
    part: Part,
    place: &Path,
    listing: &mut Listing,
) -> Result<PartOf, DataError> {
    let root = dir.join(place);
    let mut empty: BTreeSet<OsString> = folders(&root)?.into_iter().collect();
    let (mut found, mut loose) = (Vec::new(), Vec::new());
    for file in files_below(dir, place) {
        let (path, error) = match file {
            Ok(path) if is_named_as_picture(&path) => (path, None),
            Ok(_) => continue,
            Err(error) => (error.path().unwrap_or(&root).to_path_buf(), Some(error)),
        };
        let file = path.strip_prefix(dir).unwrap_or(&path).to_path_buf();
        let Ok(in_part) = file.strip_prefix(place) else { continue };
        let mut names = in_part.iter();
        let class = names.next().unwrap_or_default().to_os_string();
        match error {
            Some(error) if error.loop_ancestor().is_some() => listing
                .warnings
                .push(format!("{} is a link to a folder above it, and not followed", path.shown())),
            Some(error) => {
                empty.remove(&class);
                let reason =
                    error.io_error().map_or_else(|| error.to_string(), io::Error::to_string);
                listing.unreadable.push(Unreadable { path: file, reason });
            }
            None if names.next().is_none() => loose.push(file),
            None => {
                empty.remove(&class);
                found.push(Found { key: bytes_of(in_part), class, file });
            }
        }
    }
    if part == Part::Training {
        listing.warnings.extend(no_classes(&root, &empty));
    }
    if let Some(first) = loose.iter().min() {
        listing.warnings.push(format!(
            "not read, because pictures are read from the folders of classes: {} in {}",
            and_more(first, loose.len() - 1),
            root.shown()
        ));
    }
    found.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(PartOf { part, place: root, found })
}

/// Returns the warning about folders without pictures in the folder of the training pictures.
fn no_classes(root: &Path, empty: &BTreeSet<OsString>) -> Option<String> {
    let first = empty.first()?;
    Some(match empty.len() {
        1 => format!("{} holds no pictures, so it is no class", root.join(first).shown()),
        n => format!(
            "{n} folders in {} hold no pictures, so they are no classes: {}",
            root.shown(),
            first_few(empty.iter().map(|name| Path::new(name).shown()), n)
        ),
    })
}

/// Returns the bytes of a path with `/` between its parts, the same on every system.
fn bytes_of(path: &Path) -> Vec<u8> {
    let parts: Vec<&[u8]> = path.iter().map(OsStr::as_encoded_bytes).collect();
    parts.join(&b'/')
}

/// Numbers the classes and moves the pictures of each part into the listing.
fn number(
    dir: &Path,
    parts: Vec<PartOf>,
    is_list: bool,
    listing: &mut Listing,
) -> Result<(), DataError> {
    let failed = |reason| PicturesError::Classes { dir: dir.to_path_buf(), reason };
    let training = parts.iter().filter(|part| part.part == Part::Training);
    let names: BTreeSet<&OsStr> =
        training.flat_map(|part| &part.found).map(|found| found.class.as_os_str()).collect();
    let mut names: Vec<OsString> = names.into_iter().map(OsStr::to_os_string).collect();
    names.sort_by(|a, b| a.as_encoded_bytes().cmp(b.as_encoded_bytes()));
    if is_list {
        lists::sort_labels(&mut names);
    }
    match names.len() {
        0 => {
            // Unreadable folders are the reason why there are no pictures.
            if !listing.unreadable.is_empty() {
                let pictures = std::mem::take(&mut listing.unreadable);
                return Err(PicturesError::Unreadable { dir: dir.to_path_buf(), pictures }.into());
            }
            let reason = match listing.warnings.first() {
                Some(warning) => format!("no training pictures are found ({warning})"),
                None => "no training pictures are found".to_string(),
            };
            return Err(PicturesError::NoPictures { dir: dir.to_path_buf(), reason }.into());
        }
        1 => listing.warnings.push(format!(
            "all pictures in {} have one class, {}, so there is nothing to learn",
            dir.shown(),
            Path::new(&names[0]).shown()
        )),
        n if n > MAX_CLASSES => {
            let reason = format!("has {n} classes; {MAX_CLASSES} is the largest number");
            return Err(failed(reason).into());
        }
        _ => {}
    }
    let labels: BTreeMap<&OsStr, u16> =
        names.iter().enumerate().map(|(ix, name)| (name.as_os_str(), ix as u16)).collect();
    for PartOf { part, place, found } in parts {
        let mut items = Vec::with_capacity(found.len());
        for Found { file, key, class } in found {
            let Some(&label) = labels.get(class.as_os_str()) else {
                return Err(failed(format!(
                    "the class {} is in {}, but has no training picture; add one, or remove the class",
                    Path::new(&class).shown(),
                    place.shown()
                ))
                .into());
            };
            items.push(Item { file, key, label, part });
        }
        listing.has_validation |= part == Part::Validation;
        listing.has_test |= part == Part::Test;
        listing.items.extend(items);
    }
    listing.classes = names.iter().map(|name| escaped(&text_of(name)).into_owned()).collect();
    Ok(())
}

/// Returns the name of a class as text. Bytes that are no UTF-8 are written as `\\xff`, so different names stay different.
fn text_of(name: &OsStr) -> String {
    let chunks = name.as_encoded_bytes().utf8_chunks();
    let texts = chunks.map(|chunk| {
        let invalid: String = chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")).collect();
        format!("{}{invalid}", chunk.valid())
    });
    texts.collect()
}
