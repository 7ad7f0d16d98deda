//! What can go wrong while CIFAR-10 is fetched, and what was done with the part that had arrived.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use super::Md5Sum;
use crate::base::shown::Shown;
use crate::base::units::readable_bytes;
use crate::data::{CIFAR10_PAGE, DataError};

/// A fetch that came to nothing. The destination is as it was before.
#[derive(Debug, Error)]
pub enum FetchError {
    /// The address is none, or leads in circles.
    #[error("{url} cannot be fetched: {reason}")]
    Address {
        /// What was asked for.
        url: String,
        /// What is wrong with it.
        reason: String,
    },

    /// There is no connection to the server.
    #[error("{url} cannot be reached: {reason}")]
    Unreachable {
        /// What was asked for.
        url: String,
        /// The network's words.
        reason: String,
    },

    /// The server answered, with something else than the archive.
    #[error("{url} is not to be had: the server answers {status}")]
    Status {
        /// What was asked for.
        url: String,
        /// The HTTP status.
        status: u16,
    },

    /// The connection broke time and again.
    #[error("{url} broke off after {}: {reason}", readable_bytes(*received))]
    BrokenOff {
        /// What was asked for.
        url: String,
        /// The network's words.
        reason: String,
        /// The bytes that are in `part`.
        received: u64,
        /// The file that holds them.
        part: PathBuf,
    },

    /// The server has a file of another length.
    #[error("{url} is not the archive: it has {}, and {expected} bytes were expected",
            found.map_or("more bytes".to_string(), |n| format!("{n} bytes")))]
    Length {
        /// What was asked for.
        url: String,
        /// What the server says; none when it just went on sending.
        found: Option<u64>,
        /// The length of the archive.
        expected: u64,
    },

    /// All bytes have arrived, and they are others than those that were published.
    #[error("{url} is not the archive: its MD5 is {found}, and {expected} was expected")]
    Checksum {
        /// What was asked for.
        url: String,
        /// Of the file that arrived.
        found: Md5Sum,
        /// Of the archive.
        expected: Md5Sum,
    },

    /// The archive has the right checksum and does not hold CIFAR-10.
    #[error("{} holds no usable CIFAR-10: {reason}", path.shown())]
    Archive {
        /// The archive, as it lies on the disk.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },

    /// Something else stands where the data is to be put.
    #[error("{} is there already, and is not CIFAR-10: {reason}", dir.shown())]
    Occupied {
        /// The destination.
        dir: PathBuf,
        /// What is wrong with it.
        reason: DataError,
    },

    /// Another process is fetching to the same place.
    #[error("{} is being written by another process", part.shown())]
    Busy {
        /// The file that it writes to.
        part: PathBuf,
    },

    /// A file or folder cannot be written or read.
    #[error("{}: {source}", path.shown())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },

    /// The user asked to stop.
    #[error("stopped, with {} in {}", readable_bytes(*received), part.shown())]
    Stopped {
        /// The bytes that are in `part`.
        received: u64,
        /// The file that holds them.
        part: PathBuf,
    },
}

impl FetchError {
    /// A [`FetchError::Io`] for `path`.
    pub(super) fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }

    /// What to do about it, and what has become of the part that had arrived.
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
