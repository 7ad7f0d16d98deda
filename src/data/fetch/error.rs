//! Errors of fetching a dataset. The field `received` of an error is the number of bytes of the partial download, which
//! stays on the disk.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use super::Md5Sum;
use crate::base::shown::Shown;
use crate::base::units::readable_bytes;
use crate::data::DataError;

/// A failed fetch. The destination is unchanged.
#[derive(Debug, Error)]
pub enum FetchError {
    /// The URL is invalid, or its redirects form a loop.
    #[error("{url} cannot be fetched: {reason}")]
    Address {
        /// The URL.
        url: String,
        /// The problem with the URL.
        reason: String,
    },

    /// The server cannot be reached.
    #[error("{url} cannot be reached: {reason}")]
    Unreachable {
        /// The URL.
        url: String,
        /// The network's error.
        reason: String,
        /// The file name of the published archive.
        archive: &'static str,
        /// The web page of the dataset.
        page: &'static str,
    },

    /// The server answered with an HTTP error status.
    #[error("{url}: the server answers with status {status}")]
    Status {
        /// The URL.
        url: String,
        /// The HTTP status.
        status: u16,
        /// The web page of the dataset.
        page: &'static str,
    },

    /// The connection broke in every attempt.
    #[error("{url}: the connection broke after {}: {reason}", readable_bytes(*received))]
    BrokenOff {
        /// The URL.
        url: String,
        /// The network's error.
        reason: String,
        /// The number of bytes in `part`.
        received: u64,
        /// The file of the partial download.
        part: PathBuf,
    },

    /// The length of the server's file is not that of the archive.
    #[error("{url} is not the archive: it has {}, and {expected} bytes were expected",
            found.map_or("more bytes".to_string(), |n| format!("{n} bytes")))]
    Length {
        /// The URL.
        url: String,
        /// The length that the server sent, in bytes; None if it sent more bytes than expected.
        found: Option<u64>,
        /// The expected length of the archive, in bytes.
        expected: u64,
    },

    /// All bytes have arrived, but the checksum is wrong.
    #[error("{url} is not the archive: its MD5 is {found}, and {expected} was expected")]
    Checksum {
        /// The URL.
        url: String,
        /// The checksum of the downloaded file.
        found: Md5Sum,
        /// The expected checksum of the archive.
        expected: Md5Sum,
    },

    /// The archive has the right checksum but does not hold the dataset.
    #[error("{} holds no usable {dataset}: {reason}", path.shown())]
    Archive {
        /// The dataset's name as messages write it, such as `CIFAR-10`.
        dataset: &'static str,
        /// The archive on the disk.
        path: PathBuf,
        /// The problem with the contents of the archive.
        reason: String,
    },

    /// The folder to unpack to exists already and does not hold the dataset.
    #[error("{} is there already, and is not {dataset}: {reason}", dir.shown())]
    Occupied {
        /// The dataset's name as messages write it, such as `CIFAR-10`.
        dataset: &'static str,
        /// The destination.
        dir: PathBuf,
        /// The error that occurred when the folder was read as the dataset.
        reason: DataError,
    },

    /// Another process is downloading to the same file.
    #[error("{} is being written by another process", part.shown())]
    Busy {
        /// The file of the partial download.
        part: PathBuf,
    },

    /// A file or folder cannot be written or read.
    #[error("{}: {source}", path.shown())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The operating system's error.
        source: io::Error,
    },

    /// The user stopped the fetch.
    #[error("stopped, with {} in {}", readable_bytes(*received), part.shown())]
    Stopped {
        /// The number of bytes in `part`.
        received: u64,
        /// The file of the partial download.
        part: PathBuf,
    },
}

impl FetchError {
    /// Returns a closure that turns an I/O error into [`FetchError::Io`] for `path`.
    pub(super) fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}
