//! Errors of fetching CIFAR-10. Each tells whether the partial download was kept.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use super::Md5Sum;
use crate::base::shown::Shown;
use crate::base::units::readable_bytes;
use crate::data::{CIFAR10_PAGE, DataError};

/// A failed fetch. The destination is unchanged.
#[derive(Debug, Error)]
pub enum FetchError {
    /// The URL is invalid, or its redirects form a loop.
    #[error("{url} cannot be fetched: {reason}")]
    Address {
        /// The URL.
        url: String,
        /// The problem.
        reason: String,
    },

    /// The server cannot be reached.
    #[error("{url} cannot be reached: {reason}")]
    Unreachable {
        /// The URL.
        url: String,
        /// The network's error.
        reason: String,
    },

    /// The server answered without the archive.
    #[error("{url}: the server answers with status {status}")]
    Status {
        /// The URL.
        url: String,
        /// The HTTP status.
        status: u16,
    },

    /// The connection broke in every attempt.
    #[error("{url}: the connection broke after {}: {reason}", readable_bytes(*received))]
    BrokenOff {
        /// The URL.
        url: String,
        /// The network's error.
        reason: String,
        /// The bytes in `part`.
        received: u64,
        /// The file of the partial download.
        part: PathBuf,
    },

    /// The server's file has another length.
    #[error("{url} is not the archive: it has {}, and {expected} bytes were expected",
            found.map_or("more bytes".to_string(), |n| format!("{n} bytes")))]
    Length {
        /// The URL.
        url: String,
        /// The length that the server sent; None if it sent more bytes than expected.
        found: Option<u64>,
        /// The length of the archive.
        expected: u64,
    },

    /// All bytes have arrived, but the checksum is wrong.
    #[error("{url} is not the archive: its MD5 is {found}, and {expected} was expected")]
    Checksum {
        /// The URL.
        url: String,
        /// The checksum of the downloaded file.
        found: Md5Sum,
        /// The checksum of the archive.
        expected: Md5Sum,
    },

    /// The archive has the right checksum but does not hold CIFAR-10.
    #[error("{} holds no usable CIFAR-10: {reason}", path.shown())]
    Archive {
        /// The archive on the disk.
        path: PathBuf,
        /// The problem.
        reason: String,
    },

    /// The destination holds something else.
    #[error("{} is there already, and is not CIFAR-10: {reason}", dir.shown())]
    Occupied {
        /// The destination.
        dir: PathBuf,
        /// The problem.
        reason: DataError,
    },

    /// Another process is downloading to the same file.
    #[error("{} is being written by another process", part.shown())]
    Busy {
        /// The file.
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
        /// The bytes in `part`.
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

    /// Returns a fix, and whether the partial download was kept.
    pub fn hint(&self) -> Option<String> {
        const RESUMES: &str = "the next `wgrad fetch` goes on from there";
        Some(match self {
            Self::Address { .. } => {
                "an address begins with http:// or https://, and names a file".into()
            }
            Self::Unreachable { .. } => format!(
                "check the network, and $HTTPS_PROXY if there is a proxy; --url names a mirror. Or \
                 download cifar-10-binary.tar.gz from {CIFAR10_PAGE} elsewhere and put it into \
                 ./data: `wgrad fetch` checks and unpacks it"
            ),
            Self::Status { status: 500.., .. } => {
                "the server has a problem of its own: try later, or name a mirror with --url".into()
            }
            Self::Status { .. } => {
                format!("check the address; --url names a mirror, and {CIFAR10_PAGE} the original")
            }
            Self::BrokenOff { received: 0, .. } => {
                "nothing has arrived: try later, or name a mirror with --url".into()
            }
            Self::BrokenOff { part, .. } => {
                format!("what has arrived is kept in {}: {RESUMES}", part.shown())
            }
            Self::Length { .. } => {
                "nothing of it was kept. A mirror must have the file cifar-10-binary.tar.gz, \
                 unchanged; another archive of the same files needs its own --md5"
                    .into()
            }
            Self::Checksum { .. } => {
                "the download was removed: the file was damaged on its way, or is another one. Try \
                 again, or another mirror with --url; another archive of the same files needs its \
                 own --md5"
                    .into()
            }
            Self::Archive { path, .. } => format!(
                "nothing was unpacked, and {} was left for you to look at; remove it before the \
                 next try",
                path.shown()
            ),
            Self::Occupied { dir, .. } => {
                format!("move {} away or remove it, and fetch again", dir.shown())
            }
            Self::Busy { .. } => "wait for it to end, or end it".into(),
            Self::Io { source, .. } => return io_hint(source),
            Self::Stopped { received: 0, .. } => return None,
            Self::Stopped { .. } => RESUMES.into(),
        })
    }
}

fn io_hint(source: &io::Error) -> Option<String> {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Some(
            "the archive takes 163 MiB and the files 176 MiB more: make room, or name a folder on \
             another disk with --data-dir. What has arrived is kept, and the next `wgrad fetch` \
             goes on from there"
                .into(),
        ),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            Some("name a folder that you may write with --data-dir".into())
        }
        _ => None,
    }
}
