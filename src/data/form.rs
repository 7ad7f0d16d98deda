//! The two versions of the CIFAR datasets that are read: binary records, and files that Python has pickled.
//!
//! Both versions have the same images in the same order, in files of the same names: `test_batch.bin` in the binary
//! version is `test_batch` in the Python version.

use std::path::Path;

use super::error::DataError;
use super::folder::{self, Files};
use super::records::{self, Layout};
use super::{Split, pickled};

/// The form of a dataset's files.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Form {
    /// Records of label bytes and pixels, see [`records`].
    Binary,
    /// Pickled dictionaries, see [`pickled`].
    Python,
}

/// The ending of the names of the binary version's files.
pub(super) const BINARY_END: &str = ".bin";

impl Form {
    /// Returns the form of the files in a folder; the binary form for a folder without files of images.
    ///
    /// # Errors
    /// If the folder has files of both versions, or cannot be listed.
    pub(super) fn of(dir: &Path, files: &Files) -> Result<Self, DataError> {
        let mut names = folder::list(dir)?;
        names.retain(|name| (files.is_file)(name) && dir.join(name).is_file());
        names.sort();
        let of_python = names.iter().find(|name| !name.ends_with(BINARY_END));
        let of_binary = names.iter().find(|name| name.ends_with(BINARY_END));
        match (of_python, of_binary) {
            (Some(of_python), Some(of_binary)) => {
                Err(DataError::Mixed { path: dir.join(of_python), other: of_binary.clone() })
            }
            (Some(_), None) => Ok(Self::Python),
            (None, _) => Ok(Self::Binary),
        }
    }

    /// Returns the name of a file of images. `stem` is its name in the Python version.
    pub(super) fn file(self, stem: &str) -> String {
        match self {
            Self::Binary => format!("{stem}{BINARY_END}"),
            Self::Python => stem.to_string(),
        }
    }

    /// Appends the images of a file to a split, and returns their number. `layout` has the place of the labels in the
    /// binary version, and `labels` is their key in the Python version.
    ///
    /// # Errors
    /// If the file cannot be read, is damaged, or has a label that is not a class.
    pub(super) fn append(
        self,
        path: &Path,
        layout: Layout,
        labels: &str,
        split: &mut Split,
    ) -> Result<usize, DataError> {
        let bytes = folder::read_file(path)?;
        match self {
            Self::Binary => records::append(path, &bytes, layout, split),
            Self::Python => pickled::append(path, &bytes, labels, layout.n_classes, split),
        }
    }
}
