//! Fetches a dataset: downloads its published archive and unpacks it to a folder that training can read. For CIFAR-10:
//!
//! ```text
//! server --download--> cifar-10-binary.tar.gz.part     resumed after a broken connection, even days later
//!        --check-----> the length and the MD5 of the whole file
//!        --unpack----> cifar-10-batches-bin.part/      only the dataset's files, each within its largest size
//!        --read------> every record, with the code that training uses
//!        --rename----> cifar-10-batches-bin/           so this folder is complete or absent
//! ```
//!
//! [`fetch`] does these steps in order. `download.rs` has the HTTP client, `unpack.rs` reads the archive, and
//! `partial_download.rs` has the file of the partial download. This module prints nothing; it passes each [`Event`] to
//! its caller.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use std::{fmt, fs, io};

use super::{DatasetSource, PublishedArchive, ReadOptions};

mod download;
mod error;
mod partial_download;
#[cfg(test)]
mod tests;
pub mod unpack;

pub use error::FetchError;
use partial_download::{PartialDownload, md5_of};

/// The environment variable with a mirror's URL.
pub const MIRROR_VARIABLE: &str = "WGRAD_MIRROR";
/// The largest download of unknown length, in bytes.
const MAX_ARCHIVE_BYTES: u64 = 1 << 30;

/// An MD5 checksum. It detects damaged files, not forged ones.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Md5Sum(pub [u8; 16]);

impl FromStr for Md5Sum {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_md5 = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let sum = is_md5.then(|| u128::from_str_radix(text, 16).ok()).flatten();
        sum.map(|sum| Self(sum.to_be_bytes())).ok_or("an MD5 is 32 hexadecimal digits".into())
    }
}

impl fmt::Display for Md5Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for Md5Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An archive of a dataset: its URL and its expected contents.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Archive {
    /// The dataset in the archive.
    pub dataset: &'static dyn DatasetSource,
    /// The published archive. The downloaded file has the same name, and is beside the folder to which it is unpacked.
    /// While the download is incomplete, the file's name ends in `.part`.
    pub published: &'static PublishedArchive,
    /// The name of the folder in the archive that has the dataset's files.
    pub folder: &'static str,
    /// The URL, `http://` or `https://`.
    pub url: String,
    /// The length in bytes; None to accept the length that the server sends.
    pub n_bytes: Option<u64>,
    /// The checksum.
    pub md5: Md5Sum,
}

impl Archive {
    /// Returns the published archive of a dataset, to be downloaded from `url`, or from its published URL if `url` is
    /// None. Returns None if the dataset has no archive.
    pub fn published(dataset: &'static dyn DatasetSource, url: Option<String>) -> Option<Self> {
        let files = dataset.files()?;
        let published = files.archive.as_ref()?;
        let url = url.unwrap_or_else(|| published.url.to_string());
        let md5 = Md5Sum(published.md5.to_be_bytes());
        let (folder, n_bytes) = (files.folder, Some(published.n_bytes));
        Some(Self { dataset, published, folder, url, n_bytes, md5 })
    }

    /// Returns the folder to unpack to, for a folder `dir` that the user names: `dir` itself if it has the same name as
    /// the folder in the archive, otherwise a subfolder of `dir` with this name. In both cases, `wgrad train` finds the
    /// dataset if the user names `dir`.
    pub fn destination(&self, dir: &Path) -> PathBuf {
        if dir.file_name().is_some_and(|name| name == self.folder) {
            return dir.to_path_buf();
        }
        dir.join(self.folder)
    }

    /// Returns this archive with the checksum `md5`. If `md5` differs from the current checksum, it belongs to another
    /// archive, and any length is accepted.
    pub fn with_md5(self, md5: Md5Sum) -> Self {
        let n_bytes = self.n_bytes.filter(|_| md5 == self.md5);
        Self { n_bytes, md5, ..self }
    }
}

/// Time limits and numbers of retries of a download.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct RetryPolicy {
    /// Limit on resolving the server's name; also the limit on connecting to the server.
    pub connect: Duration,
    /// Limit on the wait for the start of the response.
    pub answer: Duration,
    /// Limit on the wait for the next bytes.
    pub bytes: Duration,
    /// Largest number of retries while the server has not answered yet.
    pub connect_retries: u32,
    /// Largest number of retries in a row that bring no new byte, after the server has answered.
    pub retries: u32,
    /// Pause before the first retry; each further pause in a row is twice as long as the pause before.
    pub pause: Duration,
}

impl RetryPolicy {
    /// The limits of `wgrad fetch`.
    pub const ASKED_FOR: Self = Self {
        connect: Duration::from_secs(10),
        answer: Duration::from_secs(30),
        bytes: Duration::from_secs(30),
        connect_retries: 2,
        retries: 5,
        pause: Duration::from_secs(1),
    };

    /// The limits of an automatic fetch. If the server cannot be reached, the fetch fails after at most three seconds
    /// for the server's name and three for the connection.
    pub const UNASKED: Self = Self {
        connect: Duration::from_secs(3),
        answer: Duration::from_secs(5),
        connect_retries: 0,
        ..Self::ASKED_FOR
    };
}

/// A report of progress.
#[derive(Debug)]
pub enum Event<'a> {
    /// The server answered. The download continues after `received` bytes.
    Started {
        /// The number of bytes of the partial download.
        received: u64,
        /// The number of bytes of the whole file; None if it is unknown.
        total: Option<u64>,
    },
    /// The number of bytes received so far.
    Received(u64),
    /// The connection broke; a retry follows after a pause.
    Retrying {
        /// The network's error.
        reason: &'a str,
        /// The pause before the retry.
        pause: Duration,
    },
    /// The partial download cannot be continued; the download starts again from its first byte.
    StartingOver {
        /// The reason why the partial download cannot be continued.
        reason: &'a str,
    },
    /// The user has put the archive into the destination's parent folder. It is used, and stays there.
    Found(&'a Path),
    /// The user has put an archive with a wrong length or checksum into the destination's parent folder. It is not
    /// used, and stays there.
    NotUsed(&'a Path),
    /// The checksum is right; the archive is being unpacked.
    Unpacking,
    /// The archive has an entry that does not belong to the dataset; it is skipped.
    Skipped(&'a str),
}

/// The result of a successful fetch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fetched {
    /// This fetch has put the dataset into the destination.
    Now,
    /// The destination held the dataset already, before this fetch.
    Before,
}

/// Downloads and unpacks `archive` to the folder `dir`, unless `dir` holds the dataset already.
///
/// The partial download is in `dir`'s parent folder and stays there after a failure; the next call continues it. If the
/// parent folder has an archive of the published name with the right checksum, that archive is used instead. When
/// `stop` becomes true, the function returns within a moment.
///
/// # Errors
/// See [`FetchError`]. If the connection breaks or the user stops the fetch, the error has the path of the partial
/// download.
pub fn fetch(
    archive: &Archive,
    dir: &Path,
    patience: &RetryPolicy,
    watch: &mut dyn FnMut(Event<'_>),
    stop: &AtomicBool,
) -> Result<Fetched, FetchError> {
    if holds_dataset(archive, dir)? {
        return Ok(Fetched::Before);
    }
    let folder = dir.parent().filter(|parent| !parent.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    // The lock on the partial download keeps other processes out, also while an archive of the user is unpacked.
    let mut part = PartialDownload::open(folder, archive.published.name)?;
    // Another process may have held the lock before, and may have finished the fetch.
    if holds_dataset(archive, dir)? {
        part.remove();
        return Ok(Fetched::Before);
    }
    let by_hand = folder.join(archive.published.name);
    if let Some(mut file) = right_archive(archive, &by_hand, watch) {
        watch(Event::Unpacking);
        unpack::unpack(archive, &mut file, &by_hand, dir, watch, stop)?;
    } else {
        get_whole(archive, &mut part, patience, watch, stop)?;
        watch(Event::Unpacking);
        let path = part.path().to_path_buf();
        unpack::unpack(archive, part.file(), &path, dir, watch, stop)?;
    }
    part.remove();
    Ok(Fetched::Now)
}

/// Downloads until the partial download `part` has the archive's length and checksum.
fn get_whole(
    archive: &Archive,
    part: &mut PartialDownload,
    patience: &RetryPolicy,
    watch: &mut dyn FnMut(Event<'_>),
    stop: &AtomicBool,
) -> Result<(), FetchError> {
    loop {
        // Bytes from an earlier fetch may come from another server. If the checksum is then wrong, the download starts
        // again from byte 0.
        let was_there = part.len() > 0;
        download::download(archive, part, patience, watch, stop)?;
        let found = part.md5(stop)?;
        if found == archive.md5 {
            return Ok(());
        }
        part.clear()?;
        if !was_there {
            let url = archive.url.clone();
            return Err(FetchError::Checksum { url, found, expected: archive.md5 });
        }
        watch(Event::StartingOver { reason: "the earlier partial download does not fit the rest" });
    }
}

/// Returns true if the folder `dir` holds the dataset of `archive`, and false if `dir` is an empty folder or does not
/// exist.
///
/// # Errors
/// If `dir` holds anything else.
fn holds_dataset(archive: &Archive, dir: &Path) -> Result<bool, FetchError> {
    let gives_way = match fs::read_dir(dir) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == io::ErrorKind::NotFound && !dir.is_symlink(),
    };
    if gives_way {
        return Ok(false);
    }
    let occupied = |reason| FetchError::Occupied {
        dataset: archive.dataset.title(),
        dir: dir.to_path_buf(),
        reason,
    };
    archive.dataset.read(dir, ReadOptions::default()).map(|_| true).map_err(occupied)
}

/// Opens the archive that the user has downloaded by hand, if its length and checksum are right.
fn right_archive(
    archive: &Archive,
    path: &Path,
    watch: &mut dyn FnMut(Event<'_>),
) -> Option<fs::File> {
    let mut file = fs::File::open(path).ok()?;
    let length = file.metadata().ok().filter(fs::Metadata::is_file)?.len();
    let has_length = archive.n_bytes.is_none_or(|expected| expected == length);
    if has_length && md5_of(&mut file, &|| false).is_ok_and(|md5| md5 == archive.md5) {
        watch(Event::Found(path));
        return Some(file);
    }
    watch(Event::NotUsed(path));
    None
}
