//! Errors of datasets. Each message names the file or folder. The command line adds a hint with the fix.

use std::path::PathBuf;
use std::{fmt, io};

use thiserror::Error;

#[cfg(feature = "runs")]
use super::pictures::PicturesError;
use crate::base::shown::Shown;

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
    #[error("{} is a file, not the folder with the files of the dataset", path.shown())]
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

    /// The folder holds the files of another dataset, or of a version of the dataset that wgrad does not read.
    #[error("{} belongs to {version}", path.shown())]
    WrongVersion {
        /// The file or folder by which the version was recognised.
        path: PathBuf,
        /// The version that the folder holds.
        version: Version,
    },

    /// The folder has files of the binary version and of the Python version.
    #[error("{} is a file of the Python version, and {other} beside it is one of the binary version", path.shown())]
    Mixed {
        /// A file of the Python version.
        path: PathBuf,
        /// The name of a file of the binary version.
        other: String,
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
         has {n_bytes} of {record_bytes} bytes",
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
        /// The number of bytes of a complete record.
        record_bytes: usize,
    },

    /// The contents of a file do not have the format of the dataset's files.
    #[error("{} {reason}", path.shown())]
    Format {
        /// The file.
        path: PathBuf,
        /// The problem with the contents of the file.
        reason: String,
    },

    /// A record has a label that is not below the number of classes.
    #[error(
        "{} is damaged: record {record} (counted from 0), at byte {offset}, has the label \
         {label}, and labels are 0 to {}",
        path.shown(),
        n_classes - 1
    )]
    Label {
        /// The file.
        path: PathBuf,
        /// The record's number in the file, from 0.
        record: usize,
        /// The offset of the record in the file, in bytes.
        offset: usize,
        /// The label found.
        label: u8,
        /// The number of classes.
        n_classes: usize,
    },

    /// An error in a folder of the user's pictures.
    #[cfg(feature = "runs")]
    #[error(transparent)]
    Pictures(#[from] PicturesError),
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
    /// The [default folder](super::default_folder) of the dataset.
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

/// A dataset, or a version of a CIFAR dataset, whose files a folder holds in place of the files that were expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// MATLAB files: `data_batch_1.mat` and `batches.meta.mat`.
    Matlab,
    /// CIFAR-10's files: `data_batch_1` to `data_batch_5`, with the ending `.bin` or without.
    Cifar10,
    /// CIFAR-100's files: `train` and `test`, with the ending `.bin` or without.
    Cifar100,
}

impl Version {
    /// Returns the name of the dataset in settings, such as `cifar10`; None for the MATLAB version, which wgrad does not
    /// read.
    pub fn name(self) -> Option<&'static str> {
        match self {
            Self::Matlab => None,
            Self::Cifar10 => Some("cifar10"),
            Self::Cifar100 => Some("cifar100"),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Matlab => "the MATLAB version of the dataset, which wgrad does not read",
            Self::Cifar10 => "CIFAR-10, another dataset",
            Self::Cifar100 => "CIFAR-100, another dataset",
        })
    }
}
