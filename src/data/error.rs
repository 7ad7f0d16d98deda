//! Errors of datasets. Each names the file and a fix.

use std::path::PathBuf;
use std::{fmt, io};

use thiserror::Error;

use super::cifar10::{FOLDER, RECORD_BYTES};
use crate::base::shown::Shown;

/// CIFAR-10's web page.
pub const CIFAR10_PAGE: &str = "https://www.cs.toronto.edu/~kriz/cifar.html";

/// An error in a dataset's files. Training never uses a file with an error.
///
/// `Display` has the file and the problem; [`DataError::hint`] has the fix.
#[derive(Debug, Error)]
pub enum DataError {
    /// The dataset's folder does not exist.
    #[error("there is no folder {} ({origin})", dir.shown())]
    MissingFolder {
        /// The folder.
        dir: PathBuf,
        /// The source of the folder's name: `"from --data-dir"`, `"from $WGRAD_DATA"`, `"the default"`, or a
        /// settings file.
        origin: &'static str,
    },

    /// The dataset's folder is a file.
    #[error("{} is a file, not the folder with the CIFAR-10 files", path.shown())]
    NotAFolder {
        /// The file.
        path: PathBuf,
    },

    /// A file of the dataset is missing from its folder.
    #[error("{} is missing", path.shown())]
    MissingFile {
        /// The missing file.
        path: PathBuf,
        /// True if other files of the dataset are there.
        partial: bool,
    },

    /// The folder holds another version of the dataset.
    #[error("{} belongs to {version}, which wgrad does not read", path.shown())]
    WrongVersion {
        /// The file or folder by which the version was recognised.
        path: PathBuf,
        /// The version.
        version: Version,
    },

    /// The downloaded archive is not unpacked.
    #[error("{} is not unpacked yet", path.shown())]
    Packed {
        /// The archive.
        path: PathBuf,
    },

    /// The operating system cannot list a folder or read a file.
    #[error("{} cannot be read", path.shown())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },

    /// The file with the class names has the wrong contents.
    #[error("{} {reason}", path.shown())]
    ClassNames {
        /// The file.
        path: PathBuf,
        /// The problem.
        reason: String,
    },

    /// An empty file.
    #[error("{} is empty", path.shown())]
    Empty {
        /// The file.
        path: PathBuf,
    },

    /// A file that ends inside a record.
    #[error(
        "{} is truncated: its record {record} (counted from 0), which starts at byte {offset}, \
         has {n_bytes} of {RECORD_BYTES} bytes",
        path.shown()
    )]
    Truncated {
        /// The file.
        path: PathBuf,
        /// The number of the incomplete record, from 0.
        record: usize,
        /// The byte of the file at which the incomplete record starts.
        offset: usize,
        /// The number of its bytes in the file.
        n_bytes: usize,
    },

    /// A record whose label is not one of the ten classes.
    #[error(
        "{} is damaged: record {record} (counted from 0), at byte {offset}, has the label \
         {label}, and labels are 0 to 9",
        path.shown()
    )]
    Label {
        /// The file.
        path: PathBuf,
        /// The record's number in the file, from 0.
        record: usize,
        /// The offset of the record, and so of its label, in bytes.
        offset: usize,
        /// The label found.
        label: u8,
    },
}

/// Versions of the CIFAR datasets that users download by mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// `data_batch_1` without an extension, `batches.meta`: pickled for Python.
    Python,
    /// `data_batch_1.mat`, `batches.meta.mat`.
    Matlab,
    /// `train.bin` and `test.bin`: CIFAR-100 with a hundred classes.
    Cifar100,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Python => "the Python version of CIFAR-10",
            Self::Matlab => "the MATLAB version of CIFAR-10",
            Self::Cifar100 => "CIFAR-100",
        })
    }
}

impl DataError {
    /// Returns a fix for the line below the message. Every error has one. The option matches
    /// [`Error::hint`](crate::Error::hint).
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NotAFolder { .. } => format!(
                "name the folder that holds data_batch_1.bin to data_batch_5.bin and \
                 test_batch.bin; {}",
                how_to_get_cifar10()
            ),
            Self::MissingFile { partial: true, .. } => format!(
                "unpack cifar-10-binary.tar.gz again, all of it, or download it again from \
                 {CIFAR10_PAGE}"
            ),
            Self::MissingFolder { .. } | Self::MissingFile { .. } | Self::WrongVersion { .. } => {
                how_to_get_cifar10()
            }
            Self::Packed { path } => {
                let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
                let folder = folder.map_or_else(|| ".".into(), |p| p.shown());
                format!(
                    "unpack it with `tar -xzf \"{}\" -C \"{folder}\"`, which makes the folder \
                     {FOLDER} beside it if it is the binary version (cifar-10-binary.tar.gz)",
                    path.shown()
                )
            }
            Self::Unreadable { source, .. } => match source.kind() {
                io::ErrorKind::PermissionDenied => {
                    "give yourself the permission to read it, or name another folder with --data-dir"
                        .into()
                }
                _ => format!(
                    "check the disk and the name, or unpack the download again; {}",
                    how_to_get_cifar10()
                ),
            },
            Self::ClassNames { .. } => {
                "write a name in each line, or remove the file: the classes have CIFAR-10's names then"
                    .into()
            }
            Self::Empty { .. } | Self::Truncated { .. } => format!(
                "the download or the unpacking broke off, most likely: delete the file and unpack \
                 cifar-10-binary.tar.gz again, or download it again from {CIFAR10_PAGE}"
            ),
            Self::Label { .. } => format!(
                "this is not the file that was published, or no CIFAR-10 at all: unpack \
                 cifar-10-binary.tar.gz again, or download it again from {CIFAR10_PAGE}"
            ),
        })
    }
}

/// Returns instructions for downloading and placing CIFAR-10.
pub(crate) fn how_to_get_cifar10() -> String {
    format!(
        "to get CIFAR-10, run `wgrad fetch`; or download \"CIFAR-10 binary version\" \
         (cifar-10-binary.tar.gz) from {CIFAR10_PAGE} and unpack it so that ./data/{FOLDER}/data_batch_1.bin exists, or name \
         its folder with --data-dir or $WGRAD_DATA"
    )
}
