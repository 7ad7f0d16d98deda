//! The dataset of a folder of pictures.

use std::path::Path;
use std::sync::Arc;

use super::cache::{Cache, Entry, Key};
use super::decoding::{Pictures, Request, decode};
use super::division::divided;
use super::error::{PicturesError, Unreadable, count};
use super::items::{Item, Listing, Part};
use super::{PictureFolder, SIDE};
use crate::base::fingerprint::Fingerprint;
use crate::base::shown::Shown;
use crate::base::units::thousands;
use crate::data::image_file::Background;
use crate::data::{
    DataError, Dataset, DatasetSource, ImageSize, ImageSpec, Pixels, ReadOptions, Split, Stored,
};

/// The number of unreadable pictures that a warning names.
const N_NAMED: usize = 3;

/// Reads the pictures of a folder. Decoded pictures are kept in the folder `cache`; None to decode them in each run.
///
/// # Errors
/// If the folder does not hold pictures in one of the layouts, or a picture cannot be read and none may be left out.
pub(super) fn read(
    folder: &PictureFolder,
    options: ReadOptions,
    cache: Option<&Path>,
) -> Result<Dataset, DataError> {
    let dir = folder.path();
    let (mut listing, parts) = divided(&dir, options.held_out)?;
    let items = std::mem::take(&mut listing.items);

    let side = options.side.unwrap_or(SIDE);
    let background = options.background.unwrap_or(Background::default().0);
    let request = Request {
        key: &Key { dir: dir.clone(), side, background },
        cache,
        items: &items,
        whole: options.whole_pictures,
        progress: options.progress,
        stop: options.stop,
    };
    let Pictures { cache, places } = decode(request)?;
    report_unreadable(&dir, &items, &places, options.skip_bad, &mut listing)?;
    let readable = |((item, place), part): ((Item, Result<usize, String>), Part)| {
        Some(Readable { item, place: place.ok()?, part })
    };
    let in_folder: Vec<Readable> =
        items.into_iter().zip(places).zip(parts).filter_map(readable).collect();
    check_classes(&in_folder, &listing.classes)
        .map_err(|reason| PicturesError::Classes { dir: dir.clone(), reason })?;
    let part = |part| in_folder.iter().filter(move |picture| picture.part == part);

    let size = ImageSize { height: side, width: side, channels: 3 };
    let split = |which| {
        split(
            &cache,
            size,
            part(which).collect(),
            options.whole_pictures && which == Part::Training,
        )
    };
    let [train, validation, test] = Part::ALL.map(split);
    let Listing { classes, mut warnings, .. } = listing;
    let (mean, standard_deviation) = mean_and_deviation(
        part(Part::Training).map(|p| &cache.entries[p.place]),
        size,
        &mut warnings,
    );
    Ok(Dataset {
        name: folder.name(),
        description: description(&dir, [&train, &validation, &test].map(Split::len), classes.len()),
        spec: ImageSpec { size, classes, mean, standard_deviation },
        whole: Some(fingerprint(&cache, &in_folder, |picture| picture.item.part)),
        known: Some(fingerprint(&cache, Part::ALL.into_iter().flat_map(part), |picture| {
            picture.part
        })),
        dir: Some(dir),
        train,
        validation,
        test,
        warnings,
    })
}

/// A picture that was read.
struct Readable {
    item: Item,
    /// The index of its entry in the file of decoded pictures.
    place: usize,
    /// The part of the dataset. A held-out picture is a validation picture.
    part: Part,
}

/// Adds a warning about pictures that cannot be read and are left out.
///
/// # Errors
/// If there are such pictures and none may be left out.
fn report_unreadable(
    dir: &Path,
    items: &[Item],
    places: &[Result<usize, String>],
    skip_bad: bool,
    listing: &mut Listing,
) -> Result<(), PicturesError> {
    let mut pictures = std::mem::take(&mut listing.unreadable);
    let bad = items.iter().zip(places).filter_map(|(item, place)| {
        let reason = place.as_ref().err()?.clone();
        Some(Unreadable { path: item.file.clone(), reason })
    });
    pictures.extend(bad);
    if pictures.is_empty() {
        return Ok(());
    }
    if !skip_bad {
        return Err(PicturesError::Unreadable { dir: dir.to_path_buf(), pictures });
    }
    let named: Vec<String> = pictures.iter().take(N_NAMED).map(Unreadable::to_string).collect();
    let more = if pictures.len() > N_NAMED { "; and others" } else { "" };
    listing.warnings.push(format!(
        "{} cannot be read and left out: {}{more}",
        count(pictures.len(), "picture"),
        named.join("; ")
    ));
    Ok(())
}

/// Tests that each class has a training picture.
fn check_classes(read: &[Readable], classes: &[String]) -> Result<(), String> {
    let mut n_of_class = vec![0; classes.len()];
    let training = read.iter().filter(|picture| picture.part == Part::Training);
    training.for_each(|picture| n_of_class[usize::from(picture.item.label)] += 1);
    match n_of_class.iter().position(|n| *n == 0) {
        Some(class) => Err(format!(
            "no training picture of the class {} can be read; add one, or remove the class",
            classes[class]
        )),
        None => Ok(()),
    }
}

/// Returns a split of these pictures, in this order.
fn split(cache: &Cache, size: ImageSize, pictures: Vec<&Readable>, has_whole: bool) -> Split {
    let entries = || pictures.iter().map(|picture| &cache.entries[picture.place]);
    let pixels = || Pixels::Mapped(Arc::clone(&cache.map));
    let place = |entry: &Entry| {
        let [height, width] = entry.whole_size.map(|length| length as usize);
        (entry.whole as usize, ImageSize { height, width, channels: 3 })
    };
    let starts = entries().map(|entry| entry.input as usize).collect();
    let labels = pictures.iter().map(|picture| picture.item.label).collect();
    Split {
        stored: has_whole.then(|| Stored::new(pixels(), entries().map(place).collect())),
        files: pictures.iter().map(|picture| picture.item.file.clone()).collect(),
        hashes: entries().map(|entry| entry.hash).collect(),
        ..Split::at(size, pixels(), starts, labels)
    }
}

/// Returns mean and standard deviation of each channel, for pixels in 0..=1. The sums over the pixels are exact.
fn mean_and_deviation<'a>(
    entries: impl Iterator<Item = &'a Entry> + Clone,
    size: ImageSize,
    warnings: &mut Vec<String>,
) -> (Vec<f64>, Vec<f64>) {
    let n = entries.clone().count() as u128 * (size.height * size.width) as u128;
    let total = |of: fn(&Entry) -> [u64; 3], channel: usize| -> u128 {
        entries.clone().map(|entry| u128::from(of(entry)[channel])).sum()
    };
    let mut of_channel = |channel: usize| {
        let (sum, squares) = (total(|e| e.sums, channel), total(|e| e.squares, channel));
        let mean = sum as f64 / (255 * n) as f64;
        // n^2 times the variance is an integer.
        let deviation = ((n * squares - sum * sum) as f64).sqrt() / (255 * n) as f64;
        (mean, deviation)
    };
    let (mean, mut deviation): (Vec<f64>, Vec<f64>) = (0..3).map(&mut of_channel).unzip();
    if deviation.contains(&0.0) {
        let colours = ["red", "green", "blue"].into_iter().zip(&deviation);
        let equal: Vec<&str> = colours.filter(|(_, d)| **d == 0.0).map(|(name, _)| name).collect();
        warnings.push(format!(
            "all training pixels have the same {}, so it is divided by 1 and not by its standard deviation of 0",
            equal.join(", ")
        ));
        deviation
            .iter_mut()
            .filter(|deviation| **deviation == 0.0)
            .for_each(|deviation| *deviation = 1.0);
    }
    (mean, deviation)
}

/// Returns one line about the dataset.
fn description(dir: &Path, [train, validation, test]: [usize; 3], n_classes: usize) -> String {
    let mut parts = vec![format!("{} training", thousands(train))];
    let others = [(validation, "validation"), (test, "test")].into_iter().filter(|(n, _)| *n > 0);
    parts.extend(others.map(|(n, name)| format!("{} {name}", thousands(n))));
    let classes = if n_classes == 1 {
        "1 class".to_string()
    } else {
        format!("{} classes", thousands(n_classes))
    };
    format!("pictures in {}: {} images of {classes}", dir.shown(), parts.join(", "))
}

/// Returns the hash of the pictures' files and labels. `part` returns the part of a picture.
fn fingerprint<'a>(
    cache: &Cache,
    pictures: impl IntoIterator<Item = &'a Readable>,
    part: fn(&Readable) -> Part,
) -> Fingerprint {
    let mut bytes = Vec::new();
    for picture in pictures {
        bytes.push(part(picture) as u8);
        bytes.extend(picture.item.label.to_le_bytes());
        bytes.extend(cache.entries[picture.place].hash);
    }
    Fingerprint::of([&bytes[..]])
}
