//! The pictures of a dataset, before any picture is read.

use std::ffi::OsString;
use std::path::PathBuf;

use super::error::Unreadable;

/// The names of a validation part.
pub(super) const VALIDATION: [&str; 3] = ["val", "valid", "validation"];

/// The parts of a dataset.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Part {
    Training,
    Validation,
    Test,
}

/// A picture of the dataset.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Item {
    /// The path, relative to the folder of the dataset.
    pub file: PathBuf,
    /// The bytes by whose hash the picture is held out or not: `CLASS/file`, or the file as in the list.
    pub key: Vec<u8>,
    /// The number of the class.
    pub label: u16,
    /// The part of the dataset.
    pub part: Part,
}

/// The pictures of a folder in the order of the dataset.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// The training pictures, the held-out ones included.
    pub train: Vec<Item>,
    /// The pictures of the validation part; None if the folder has no such part.
    pub validation: Option<Vec<Item>>,
    /// The pictures of the test part; None if the folder has no such part.
    pub test: Option<Vec<Item>>,
    /// The names of the classes.
    pub classes: Vec<String>,
    /// Files and folders that cannot be read.
    pub unreadable: Vec<Unreadable>,
    /// Warnings for the user.
    pub warnings: Vec<String>,
}

/// A picture before the classes have numbers.
#[derive(Debug)]
pub(super) struct Found {
    pub file: PathBuf,
    pub key: Vec<u8>,
    pub class: OsString,
}

/// The pictures of one part.
#[derive(Debug)]
pub(super) struct PartOf {
    pub part: Part,
    /// The folder or the list of the part, for messages.
    pub place: PathBuf,
    pub found: Vec<Found>,
}
