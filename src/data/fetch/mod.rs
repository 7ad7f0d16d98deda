//! Fetching CIFAR-10: the published archive, from the network to a folder that [`cifar10`] reads.
//!
//! ```text
//! server --download--> cifar-10-binary.tar.gz.part     resumed where it broke off, also days later
//!        --check-----> the length and MD5 of the whole file
//!        --unpack----> cifar-10-batches-bin.part/      the expected names, within expected sizes
//!        --read------> every record, as training will
//!        --rename----> cifar-10-batches-bin/           which is whole or not there
//! ```
//!
//! [`fetch`] is that list; `download.rs` speaks HTTP, `unpack.rs` reads the archive, `part.rs` is the
//! file in the middle. Nothing here prints: an [`Event`] tells what happens.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use std::{fmt, fs, io};

use super::cifar10;

mod download;
mod error;
mod part;
#[cfg(test)]
mod tests;
pub(crate) mod unpack;

pub use error::FetchError;
use part::{Part, md5_of};

/// The environment variable that names a mirror where `--url` does not.
pub const MIRROR_VARIABLE: &str = "WGRAD_MIRROR";
/// Where the archive comes from when nothing names a mirror.
pub const PUBLISHED_URL: &str = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz";
/// The length of the published archive.
pub const PUBLISHED_BYTES: u64 = 170_052_171;
/// The MD5 of the published archive, as its page gives it: c32a1d4ab5d03f1284b67883e8d87530.
pub const PUBLISHED_MD5: Md5Sum =
    Md5Sum(0xc32a_1d4a_b5d0_3f12_84b6_7883_e8d8_7530_u128.to_be_bytes());

/// The archive's name, beside the destination; the download adds `.part`.
const ARCHIVE: &str = "cifar-10-binary.tar.gz";
/// The most that is downloaded of an archive whose length is not known.
const MAX_ARCHIVE_BYTES: u64 = 1 << 30;

/// An MD5 checksum. It tells damaged files, for which it was published, not forged ones.
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

/// An archive: where it is, and what it must be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Archive {
    /// Where it is: `http://` or `https://`.
    pub url: String,
    /// Its length, if it is known before the server says it.
    pub n_bytes: Option<u64>,
    /// Its checksum.
    pub md5: Md5Sum,
}

impl Archive {
    /// The published archive, at `url` or where it was published.
    pub fn published(url: Option<String>) -> Self {
        let url = url.unwrap_or_else(|| PUBLISHED_URL.to_string());
        Self { url, n_bytes: Some(PUBLISHED_BYTES), md5: PUBLISHED_MD5 }
    }

    /// The same, unless `md5` is that of another archive, whose length the server may choose.
    pub fn with_md5(self, md5: Md5Sum) -> Self {
        let n_bytes = self.n_bytes.filter(|_| md5 == self.md5);
        Self { n_bytes, md5, ..self }
    }
}

/// How long a network that does not answer is waited for.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Patience {
    /// For finding the server's address, and again for the connection.
    pub connect: Duration,
    /// For the answer to begin.
    pub answer: Duration,
    /// For the next bytes.
    pub bytes: Duration,
    /// How often a first connection is tried again.
    pub connect_retries: u32,
    /// How often in a row a download that broke off is taken up again without a byte arriving.
    pub retries: u32,
    /// The pause before the first of these; each is twice the one before.
    pub pause: Duration,
}

impl Patience {
    /// For a user who asked for the download.
    pub const ASKED_FOR: Self = Self {
        connect: Duration::from_secs(10),
        answer: Duration::from_secs(30),
        bytes: Duration::from_secs(30),
        connect_retries: 2,
        retries: 5,
        pause: Duration::from_secs(1),
    };

    /// For a user who did not: a network that is not there costs three seconds, or a little more.
    pub const UNASKED: Self = Self {
        connect: Duration::from_secs(3),
        answer: Duration::from_secs(5),
        connect_retries: 0,
        ..Self::ASKED_FOR
    };
}

/// What happens during a fetch.
#[derive(Debug)]
pub enum Event<'a> {
    /// The server answered. `received` bytes were here before, and are not fetched again.
    Started {
        /// The bytes that are here.
        received: u64,
        /// All there are, if the server says.
        total: Option<u64>,
    },
    /// So many bytes are here now.
    Received(u64),
    /// The connection broke off, and is tried again after a pause.
    Retrying {
        /// The network's words.
        reason: &'a str,
        /// The pause.
        pause: Duration,
    },
    /// What was here is of no use, and the download starts over.
    StartingOver {
        /// Why.
        reason: &'a str,
    },
    /// An archive that somebody else has put here is used, and left.
    Found(&'a Path),
    /// An archive that somebody else has put here is not the right one, and is left.
    NotUsed(&'a Path),
    /// The checksum is right, and the archive is unpacked.
    Unpacking,
    /// The archive holds something that does not belong to CIFAR-10, which is not unpacked.
    Skipped(&'a str),
}

/// How a fetch ended well.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fetched {
    /// The destination holds CIFAR-10 now.
    Now,
    /// It did before, and nothing was done.
    Before,
}

/// The folder that holds the files, given the one that `--data-dir` names: that itself if it has the
/// name that the archive gives it, else a folder of that name in it. `wgrad train` takes either.
pub fn destination(dir: &Path) -> PathBuf {
    if dir.file_name().is_some_and(|name| name == cifar10::FOLDER) {
        return dir.to_path_buf();
    }
    dir.join(cifar10::FOLDER)
}

/// Makes `dir` a folder with CIFAR-10, from `archive`, unless it is one.
///
/// The download lies beside `dir` meanwhile, and stays there when it breaks off, for the next call to
/// go on with. An archive of the published name that lies there already is used instead if it is the
/// right one. When `stop` becomes true, this returns within a moment.
///
/// # Errors
/// See [`FetchError`], which says what has become of the part that had arrived.
pub fn fetch(
    archive: &Archive,
    dir: &Path,
    patience: &Patience,
    watch: &mut dyn FnMut(Event<'_>),
    stop: &AtomicBool,
) -> Result<Fetched, FetchError> {
    if holds_cifar10(dir)? {
        return Ok(Fetched::Before);
    }
    let folder = dir.parent().filter(|parent| !parent.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let by_hand = folder.join(ARCHIVE);
    if let Some(mut file) = right_archive(archive, &by_hand, watch) {
        watch(Event::Unpacking);
        unpack::unpack(&mut file, &by_hand, dir, watch, stop)?;
        return Ok(Fetched::Now);
    }

    let mut part = Part::open(folder)?;
    // It may have come there while another process held the part.
    if holds_cifar10(dir)? {
        part.remove();
        return Ok(Fetched::Before);
    }
    get_whole(archive, &mut part, patience, watch, stop)?;
    watch(Event::Unpacking);
    let path = part.path().to_path_buf();
    unpack::unpack(part.file(), &path, dir, watch, stop)?;
    part.remove();
    Ok(Fetched::Now)
}

/// Downloads until the part is the whole archive, by its length and checksum.
fn get_whole(
    archive: &Archive,
    part: &mut Part,
    patience: &Patience,
    watch: &mut dyn FnMut(Event<'_>),
    stop: &AtomicBool,
) -> Result<(), FetchError> {
    loop {
        // Of other days, and perhaps of another server.
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
        watch(Event::StartingOver { reason: "the part from before does not fit the rest" });
    }
}

/// Whether the destination is done already.
fn holds_cifar10(dir: &Path) -> Result<bool, FetchError> {
    let gives_way = match fs::read_dir(dir) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == io::ErrorKind::NotFound && !dir.is_symlink(),
    };
    if gives_way {
        return Ok(false);
    }
    let occupied = |reason| FetchError::Occupied { dir: dir.to_path_buf(), reason };
    cifar10::read(dir).map(|_| true).map_err(occupied)
}

/// The archive that somebody has downloaded by hand, if it is the right one.
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
