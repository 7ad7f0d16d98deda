//! What can be wrong with a dataset, said so that the reader knows which file and what to do.

use std::path::PathBuf;
use std::{fmt, io};

use thiserror::Error;

use super::cifar10::{FOLDER, RECORD_BYTES};
use crate::base::shown::Shown;

/// Where CIFAR-10 comes from.
pub const CIFAR10_PAGE: &str = "https://www.cs.toronto.edu/~kriz/cifar.html";

/// A dataset that cannot be used. Nothing is trained on a file that has an error.
///
/// `Display` says what is wrong and where; [`DataError::hint`] says what to do about it.
#[derive(Debug, Error)]
pub enum DataError {
    /// The folder that was named does not exist.
    #[error("there is no folder {} ({origin})", dir.shown())]
    MissingFolder {
        /// The folder looked for.
        dir: PathBuf,
        /// Who named it: `"from --data-dir"`, `"from $WGRAD_DATA"`, `"the default"`, or a file of settings.
        origin: &'static str,
    },

    /// The name given stands for a file.
    #[error("{} is a file, not the folder with the CIFAR-10 files", path.shown())]
    NotAFolder {
        /// The file.
        path: PathBuf,
    },

    /// The folder is there, and a file that the dataset consists of is not.
    #[error("{} is missing", path.shown())]
    MissingFile {
        /// The file looked for.
        path: PathBuf,
        /// Whether other files of the dataset are there.
        partial: bool,
    },

    /// The folder holds another form of the dataset than the binary one.
    #[error("{} belongs to {version}, which wgrad does not read", path.shown())]
    WrongVersion {
        /// The file or folder that gave it away.
        path: PathBuf,
        /// What it is.
        version: Version,
    },

    /// The download is there and still packed.
    #[error("{} is not unpacked yet", path.shown())]
    Packed {
        /// The archive.
        path: PathBuf,
    },

    /// The operating system refused to list a folder or to read a file.
    #[error("{} cannot be read", path.shown())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },

    /// A file with the names of the classes that does not name each of them.
    #[error("{} {reason}", path.shown())]
    ClassNames {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },

    /// A file of no bytes.
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
        /// How many of its bytes are there.
        n_bytes: usize,
    },

    /// A record whose label is none of the ten classes.
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
        /// The byte of the file at which the record starts, which is its label.
        offset: usize,
        /// The label found.
        label: u8,
    },
}

/// Forms of the CIFAR datasets that people download instead of the binary version of CIFAR-10.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// `data_batch_1` without an ending, `batches.meta`: pickled for Python.
    Python,
    /// `data_batch_1.mat`, `batches.meta.mat`.
    Matlab,
    /// `train.bin` and `test.bin`: the sibling with a hundred classes.
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
    /// What to do about it, for the line below the message. Every cause here has one; it is an option as that of [`Error::hint`](crate::Error::hint) is.
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

/// How to get CIFAR-10 and where to put it.
pub(crate) fn how_to_get_cifar10() -> String {
    format!(
        "to get CIFAR-10, run `wgrad fetch`; or download \"CIFAR-10 binary version\" \
         (cifar-10-binary.tar.gz) from {CIFAR10_PAGE} and unpack it so that ./data/{FOLDER}/data_batch_1.bin exists, or name \
         its folder with --data-dir or $WGRAD_DATA"
    )
}
