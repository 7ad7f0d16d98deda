//! The pictures of a dataset, before any picture is read.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use super::error::Unreadable;

/// The parts of a dataset.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Part {
    Training,
    Validation,
    Test,
}

impl Part {
    /// All parts, in their order.
    pub const ALL: [Self; 3] = [Self::Training, Self::Validation, Self::Test];

    /// Returns the part that a folder or a list of this name holds. Large and small letters are the same.
    pub fn of_name(name: &OsStr) -> Option<Self> {
        match &name.to_str()?.to_ascii_lowercase()[..] {
            "train" | "training" => Some(Self::Training),
            "val" | "valid" | "validation" => Some(Self::Validation),
            "test" | "testing" => Some(Self::Test),
            _ => None,
        }
    }

    /// Returns the name of the part in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Training => "training",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }
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
    /// The part of the folder.
    pub part: Part,
}

/// The pictures of a folder in the order of the dataset.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// The pictures: those of the training part, then those of the validation part, then those of the test part.
    pub items: Vec<Item>,
    /// True if the folder has a validation part.
    pub has_validation: bool,
    /// True if the folder has a test part.
    pub has_test: bool,
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
