//! The state of a folder of pictures before training: classes, sizes, unreadable files and duplicates.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::division::divided;
use super::error::Unreadable;
use super::items::{Item, Listing, Part};
use crate::data::image_file::{self, Background, MAX_PIXELS, bytes_of, decode_upright};
use crate::data::{DataError, ReadOptions};

/// A readable picture of a folder.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Surveyed {
    /// The path, relative to the folder or as in the list.
    pub file: PathBuf,
    /// The number of the class.
    pub class: usize,
    /// The part: `training`, `validation` or `test`.
    pub part: &'static str,
    /// Rows and columns, turned upright.
    pub size: [usize; 2],
    /// The SHA-256 of the file.
    hash: [u8; 32],
}

/// The state of a folder.
#[derive(Debug)]
pub struct Survey {
    /// The names of the classes, in the order of the labels.
    pub classes: Vec<String>,
    /// The readable pictures, in the order of the folder.
    pub pictures: Vec<Surveyed>,
    /// The pictures that cannot be read.
    pub unreadable: Vec<Unreadable>,
    /// Warnings about the layout of the folder.
    pub warnings: Vec<String>,
}

impl Survey {
    /// The names of the parts.
    pub const PARTS: [&str; 3] = ["training", "validation", "test"];

    /// Reads all pictures of a folder. Parts and held-out pictures are those of a run with these options.
    ///
    /// # Errors
    /// If the folder does not hold pictures in one of the layouts.
    pub fn of(dir: &Path, options: ReadOptions) -> Result<Self, DataError> {
        let (listing, parts) = divided(dir, options.held_out)?;
        let Listing { items, classes, mut unreadable, warnings, .. } = listing;
        let background = options.background.unwrap_or(Background::default().0);
        let (done, all) = (AtomicUsize::new(0), items.len());
        let read = |(item, part): (&Item, Part)| {
            let surveyed = read(dir, item, part, background);
            let n = done.fetch_add(1, Ordering::Relaxed) + 1;
            if let Some(progress) = options.progress
                && (n.is_multiple_of(64) || n == all)
            {
                progress.0(n, all);
            }
            surveyed.map_err(|reason| Unreadable { path: item.file.clone(), reason })
        };
        let results: Vec<_> = items.par_iter().zip(parts).map(read).collect();
        let mut pictures = Vec::with_capacity(results.len());
        for result in results {
            match result {
                Ok(picture) => pictures.push(picture),
                Err(error) => unreadable.push(error),
            }
        }
        Ok(Self { classes, pictures, unreadable, warnings })
    }

    /// Returns the number of readable pictures of each class in each part, in the order of [`Survey::PARTS`].
    pub fn counts(&self) -> Vec<[usize; 3]> {
        let mut counts = vec![[0; 3]; self.classes.len()];
        for picture in &self.pictures {
            let part = Self::PARTS.iter().position(|part| *part == picture.part);
            counts[picture.class][part.expect("a part")] += 1;
        }
        counts
    }

    /// Returns the sizes of the pictures, rows and columns, and their numbers of pictures, the most frequent first.
    pub fn sizes(&self) -> Vec<([usize; 2], usize)> {
        let mut counts = BTreeMap::<[usize; 2], usize>::new();
        self.pictures.iter().for_each(|picture| *counts.entry(picture.size).or_default() += 1);
        let mut sizes: Vec<_> = counts.into_iter().collect();
        sizes.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
        sizes
    }

    /// Returns the groups of pictures whose files have the same bytes, and which are in several parts or classes or are
    /// several in one.
    pub fn duplicates(&self) -> Vec<Vec<&Surveyed>> {
        let mut groups = HashMap::<[u8; 32], Vec<usize>>::new();
        for (ix, picture) in self.pictures.iter().enumerate() {
            groups.entry(picture.hash).or_default().push(ix);
        }
        let mut groups: Vec<_> = groups.into_values().filter(|group| group.len() > 1).collect();
        groups.sort_unstable();
        groups
            .into_iter()
            .map(|group| group.into_iter().map(|ix| &self.pictures[ix]).collect())
            .collect()
    }
}

/// Returns true if the pictures are in more than one part, so that an evaluation shows the network a picture from its
/// training.
pub fn crosses_parts(group: &[&Surveyed]) -> bool {
    group.iter().any(|picture| picture.part != group[0].part)
}

/// Returns true if the pictures are in more than one class, so that one of the labels is wrong.
pub fn crosses_classes(group: &[&Surveyed]) -> bool {
    group.iter().any(|picture| picture.class != group[0].class)
}

/// Reads a picture of a folder and its bytes. The error is the reason why it cannot be read.
pub fn upright(
    dir: &Path,
    file: &Path,
    background: [u8; 3],
) -> Result<(Vec<u8>, image_file::Picture), String> {
    let path = dir.join(file);
    // The opening of a pipe would wait for a writer.
    let is_file = path.metadata().map_err(|error| error.to_string())?.is_file();
    if !is_file {
        return Err("not a file".to_string());
    }
    let bytes = File::open(path).and_then(bytes_of).map_err(|error| error.to_string())??;
    let picture = decode_upright(&bytes, background, MAX_PIXELS)?;
    Ok((bytes, picture))
}

fn read(dir: &Path, item: &Item, part: Part, background: [u8; 3]) -> Result<Surveyed, String> {
    let (bytes, picture) = upright(dir, &item.file, background)?;
    Ok(Surveyed {
        file: item.file.clone(),
        class: item.label.into(),
        part: part.name(),
        size: picture.size,
        hash: Sha256::digest(&bytes).into(),
    })
}
