//! Errors of datasets of the user's pictures.

use std::path::{Path, PathBuf};
use std::{fmt, io};

use thiserror::Error;

use crate::base::shown::Shown;
use crate::base::units::thousands;

/// The number of unreadable pictures that a message lists.
const N_LISTED: usize = 20;

/// The number of names that a line lists.
const N_NAMED: usize = 3;

/// The layouts of a folder, for messages.
const LAYOUTS: &str = "put the pictures of a class into DIR/CLASS/, or into DIR/train/CLASS/, DIR/val/CLASS/ and \
                       DIR/test/CLASS/, or list them in DIR/train.csv with lines of `file,label`";

/// An error in a folder of pictures.
#[derive(Debug, Error)]
pub enum PicturesError {
    /// The folder does not exist.
    #[error("{}: there is no such folder; name a folder of pictures, or a known dataset", dir.shown())]
    NoFolder {
        /// The folder.
        dir: PathBuf,
    },

    /// No training picture is in the folder.
    #[error("{}: {reason}; {LAYOUTS}", dir.shown())]
    NoPictures {
        /// The folder.
        dir: PathBuf,
        /// The content of the folder, in words.
        reason: String,
    },

    /// Pictures cannot be read.
    #[error("{}: {}", dir.shown(), Listed(pictures))]
    Unreadable {
        /// The folder of the dataset.
        dir: PathBuf,
        /// All pictures that cannot be read, in the order of the dataset.
        pictures: Vec<Unreadable>,
    },

    /// A list has a line that is not a picture and its label.
    #[error("{}: {reason}", path.shown())]
    List {
        /// The file of the list.
        path: PathBuf,
        /// The problem with the contents of the list, and the fix.
        reason: String,
    },

    /// The classes of the pictures are not those of a dataset, or the held-out part leaves a class without pictures.
    #[error("{}: {reason}", dir.shown())]
    Classes {
        /// The folder.
        dir: PathBuf,
        /// The problem, and the fix.
        reason: String,
    },

    /// The caller has stopped the decoding. Nothing was written.
    #[error("the reading of the pictures was interrupted")]
    Interrupted,

    /// The operating system cannot write the decoded pictures to the disk.
    #[error("{}: the decoded pictures cannot be written: {source}; free space on the disk, or name another folder with \
             $WGRAD_CACHE", path.shown())]
    Cache {
        /// The file of decoded pictures.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },
}

/// A picture that cannot be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unreadable {
    /// The path of the picture, relative to the dataset's folder or as in the list.
    pub path: PathBuf,
    /// The reason, in words.
    pub reason: String,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.shown(), self.reason)
    }
}

/// The message about unreadable pictures: their number, and the first of them in lines of their own.
struct Listed<'a>(&'a [Unreadable]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let n = self.0.len();
        write!(f, "{} cannot be read", count(n, "picture"))?;
        self.0.iter().take(N_LISTED).try_for_each(|picture| write!(f, "\n  {picture}"))?;
        if n > N_LISTED {
            write!(f, "\n  and {} more", count(n - N_LISTED, "picture"))?;
        }
        Ok(())
    }
}

/// Returns a number of things, as `1 picture`, `2 pictures` or `1,000 classes`.
pub fn count(n: usize, thing: &str) -> String {
    let ending = match (n, thing.ends_with('s')) {
        (1, _) => "",
        (_, false) => "s",
        (_, true) => "es",
    };
    format!("{} {thing}{ending}", thousands(n))
}

/// Returns the first of `n` names, as `a, b, c` or `a, b, c and 2 more`.
pub fn first_few(names: impl Iterator<Item = String>, n: usize) -> String {
    let named: Vec<String> = names.take(N_NAMED).collect();
    let more = match n - named.len() {
        0 => String::new(),
        n => format!(" and {} more", thousands(n)),
    };
    named.join(", ") + &more
}

/// Returns a path and the number of further ones, as `a.png` or `a.png and 2 more`.
pub(super) fn and_more(first: &Path, n_more: usize) -> String {
    match n_more {
        0 => first.shown(),
        _ => format!("{} and {n_more} more", first.shown()),
    }
}
