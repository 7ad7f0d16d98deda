//! Errors of datasets. Each message names the file or folder. The command line adds a hint with the fix.

use std::path::PathBuf;
use std::{fmt, io};

use thiserror::Error;

use super::cifar10::RECORD_BYTES;
use crate::base::shown::Shown;

/// CIFAR-10's web page.
pub const CIFAR10_PAGE: &str = "https://www.cs.toronto.edu/~kriz/cifar.html";

/// An error in a dataset's files. Training never uses a file with an error.
#[derive(Debug, Error)]
pub enum DataError {
    /// The dataset's folder does not exist.
    #[error("there is no folder {} ({origin})", dir.shown())]
    MissingFolder {
        /// The folder.
        dir: PathBuf,
        /// The place in which the folder is named.
        origin: Origin,
    },

    /// The path of the dataset's folder belongs to a file.
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
        /// True if the folder has other files of the dataset.
        partial: bool,
    },

    /// The folder holds another version of the dataset.
    #[error("{} belongs to {version}, which wgrad does not read", path.shown())]
    WrongVersion {
        /// The file or folder by which the version was recognised.
        path: PathBuf,
        /// The version that the folder holds.
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
        /// The problem with the contents of the file.
        reason: String,
    },

    /// A file of the dataset is empty.
    #[error("{} is empty", path.shown())]
    Empty {
        /// The file.
        path: PathBuf,
    },

    /// A file ends inside a record.
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
        /// The number of bytes of the incomplete record in the file.
        n_bytes: usize,
    },

    /// A record has a label above 9.
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
        /// The offset of the record in the file, in bytes. The label is the first byte of the record.
        offset: usize,
        /// The label found.
        label: u8,
    },
}

/// The place in which a dataset's folder is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The caller of [`load`](super::load).
    Caller,
    /// A file of settings.
    Settings,
    /// The environment variable [`DATA_VARIABLE`](super::DATA_VARIABLE).
    Variable,
    /// [`DEFAULT_FOLDER`](super::DEFAULT_FOLDER).
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Caller => "from data-dir",
            Self::Settings => "from data-dir in the settings",
            Self::Variable => "from $WGRAD_DATA",
            Self::Default => "the default",
        })
    }
}

/// Versions of the CIFAR datasets that users download by mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// Files pickled for Python: `data_batch_1` without an extension, and `batches.meta`.
    Python,
    /// MATLAB files: `data_batch_1.mat` and `batches.meta.mat`.
    Matlab,
    /// CIFAR-100, with a hundred classes: `train.bin` and `test.bin`.
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
