//! A file of decoded pictures, which is mapped into memory.
//!
//! ```text
//! header | path of the folder | inputs, one after another | whole pictures | records, one for each picture | texts of the records
//! ```
//!
//! An input is a picture of `side` rows and columns. A picture that cannot be decoded has a record without pixels. Only
//! pictures from the training part of the folder are there as whole pictures, after a run with a random resized crop. So the
//! file does not depend on the pictures that are held out. The pictures have the order of the bytes of their paths.
//!
//! A file is written under a temporary name and then renamed, so a process always maps a complete file, and never changes
//! a file that another process has mapped. A file that is not complete, or whose records do not have the checksum in its
//! header, counts as absent.

#![allow(unsafe_code)] // A map is only sound if nobody changes the file; `map` states why nobody does.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use bytemuck::{Pod, Zeroable};
use memmap2::Mmap;
use sha2::{Digest, Sha256};

use crate::base::fingerprint::Fingerprint;

mod vanished;
mod writer;

pub(super) use writer::Writer;

/// The first bytes of a file. The number is that of the format, and of the conversion of pictures.
const MAGIC: [u8; 8] = *b"wgpics03";

/// The ending of the name of a file.
const ENDING: &str = "pixels";

/// The ending of the name of a file that is being written.
const TEMPORARY: &str = "wgrad-tmp";

/// Everything on which all pictures of a file depend.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Key {
    /// The folder of the dataset.
    pub dir: PathBuf,
    /// The number of rows and columns of an input.
    pub side: usize,
    /// The colour behind transparent pixels.
    pub background: [u8; 3],
}

impl Key {
    /// Returns the name of the file: the hash of the key.
    pub fn file_name(&self) -> String {
        let dir = self.dir.as_os_str().as_encoded_bytes();
        let side = (self.side as u64).to_le_bytes();
        format!("{}.{ENDING}", Fingerprint::of([dir, &side[..], &self.background[..]]))
    }

    /// Returns the key of a file with this header, whose path of the folder is `dir`; None if the path is no UTF-8.
    fn of(header: &Header, dir: Vec<u8>) -> Option<Self> {
        let [red, green, blue, _] = header.background;
        let dir = PathBuf::from(String::from_utf8(dir).ok()?);
        let side = usize::try_from(header.side).ok()?;
        Some(Self { dir, side, background: [red, green, blue] })
    }
}

/// A picture in a file.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(super) struct Entry {
    /// The bytes of the picture's path, relative to the folder of the dataset.
    pub path: Vec<u8>,
    /// Length and time of the picture's file when it was read.
    pub stamp: Stamp,
    /// SHA-256 of the picture's file.
    pub hash: [u8; 32],
    /// The reason if the picture cannot be decoded; otherwise empty.
    pub reason: String,
    /// The first byte of the input in the file of decoded pictures, `[3, side, side]` bytes.
    pub input: u64,
    /// The first byte of the whole picture, `[3, rows, columns]` bytes.
    pub whole: u64,
    /// Numbers of rows and columns of the whole picture; 0 if the file does not have it.
    pub whole_size: [u32; 2],
    /// The sum of the bytes of each channel of the input.
    pub sums: [u64; 3],
    /// The sum of the squares of the bytes of each channel of the input.
    pub squares: [u64; 3],
}

impl Entry {
    /// Returns true if the picture was decoded.
    pub fn is_picture(&self) -> bool {
        self.reason.is_empty()
    }

    /// Returns true if the file has the whole picture.
    pub fn has_whole(&self) -> bool {
        self.whole_size[0] > 0
    }

    /// Returns the number of bytes of the input.
    fn input_bytes(&self, side: usize) -> usize {
        if self.is_picture() { n_bytes(side) } else { 0 }
    }

    /// Returns the number of bytes of the whole picture.
    fn whole_bytes(&self) -> u64 {
        3 * u64::from(self.whole_size[0]) * u64::from(self.whole_size[1])
    }
}

/// Returns the number of bytes of an input of `side` rows and columns.
fn n_bytes(side: usize) -> usize {
    3 * side * side
}

/// Length and times of a file. A file with the same stamp is not read again.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, Pod, Zeroable)]
#[repr(C)]
pub(super) struct Stamp {
    /// The length in bytes.
    pub length: u64,
    /// The time of the last change of the contents, in nanoseconds since 1970. Copies and renamed files keep it.
    pub modified: i64,
    /// The time of the last change of the contents, the name or the permissions, in nanoseconds since 1970. No program can
    /// set it. 0 on systems without such a time.
    pub changed: i64,
}

impl Stamp {
    /// Returns the stamp of a file. Symbolic links are followed.
    ///
    /// # Errors
    /// If there is no file at the path.
    pub fn of(path: &Path) -> io::Result<Self> {
        let data = fs::metadata(path)?;
        if !data.is_file() {
            return Err(io::Error::other("not a file"));
        }
        let time = data.modified()?;
        let nanoseconds = |d: Duration| i64::try_from(d.as_nanos()).unwrap_or(i64::MAX);
        let modified = match time.duration_since(UNIX_EPOCH) {
            Ok(after) => nanoseconds(after),
            Err(before) => -nanoseconds(before.duration()),
        };
        Ok(Self { length: data.len(), modified, changed: changed(&data) })
    }
}

/// Returns the value of [`Stamp::changed`].
#[cfg(unix)]
fn changed(data: &fs::Metadata) -> i64 {
    use std::os::unix::fs::MetadataExt;
    data.ctime().saturating_mul(1_000_000_000).saturating_add(data.ctime_nsec())
}

/// Returns the value of [`Stamp::changed`].
#[cfg(not(unix))]
fn changed(_: &fs::Metadata) -> i64 {
    0
}

/// The start of a file.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Header {
    magic: [u8; 8],
    /// The number of rows and columns of an input.
    side: u64,
    /// The colour behind transparent pixels, and 0.
    background: [u8; 4],
    /// The number of bytes of the folder's path.
    dir_length: u32,
    /// The number of records.
    n: u64,
    /// The first byte of the records; the records and their texts are the end of the file.
    index: u64,
    /// The length of the file.
    length: u64,
    /// The SHA-256 of the records and their texts.
    hash: [u8; 32],
}

/// An [`Entry`] in the file.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Record {
    /// The lengths of the path and the reason, which follow one another in the texts.
    texts: [u64; 2],
    stamp: Stamp,
    hash: [u8; 32],
    input: u64,
    whole: u64,
    whole_size: [u32; 2],
    sums: [u64; 3],
    squares: [u64; 3],
}

/// A complete file of decoded pictures.
#[derive(Debug)]
pub(super) struct Cache {
    /// The bytes of the file.
    pub map: Arc<Mmap>,
    /// The pictures, in the order of the bytes of their paths; no two have the same path.
    pub entries: Vec<Entry>,
    /// The number of rows and columns of an input.
    side: usize,
}

impl Cache {
    /// Maps a file; returns None if it is absent, incomplete or damaged, or has another key.
    pub fn open(path: &Path, key: &Key) -> Option<Self> {
        let map = map(&File::open(path).ok()?).ok()?;
        let entries = entries(&map, key)?;
        Some(Self { map: Arc::new(map), entries, side: key.side })
    }

    /// Returns the index of the picture with this path.
    pub fn find(&self, path: &[u8]) -> Option<usize> {
        self.entries.binary_search_by(|entry| entry.path[..].cmp(path)).ok()
    }

    /// Returns the bytes of an input; none for a picture that was not decoded.
    pub fn input(&self, entry: &Entry) -> &[u8] {
        &self.map[entry.input as usize..][..entry.input_bytes(self.side)]
    }

    /// Returns the bytes of a whole picture; none if the file does not have it.
    pub fn whole(&self, entry: &Entry) -> &[u8] {
        &self.map[entry.whole as usize..][..entry.whole_bytes() as usize]
    }
}

/// Maps a file into memory.
fn map(file: &File) -> io::Result<Mmap> {
    // SAFETY: the bytes of a map must not change. This module writes a file only before it is mapped, under a name that
    // no other process uses, and no process opens a complete file for writing.
    unsafe { Mmap::map(file) }
}

/// Returns the entries in the bytes of a file; None if the file is damaged or has another key.
fn entries(file: &[u8], key: &Key) -> Option<Vec<Entry>> {
    let header: Header = bytemuck::pod_read_unaligned(file.get(..size_of::<Header>())?);
    let dir = file.get(size_of::<Header>()..)?.get(..header.dir_length as usize)?;
    let is_ours = header.magic == MAGIC && header.length == file.len() as u64;
    if !is_ours || Key::of(&header, dir.to_vec()).as_ref() != Some(key) {
        return None;
    }
    let side = key.side;
    let index = file.get(usize::try_from(header.index).ok()?..)?;
    if Sha256::digest(index)[..] != header.hash {
        return None;
    }
    let n_bytes = usize::try_from(header.n).ok()?.checked_mul(size_of::<Record>())?;
    let (records, mut texts) = index.split_at_checked(n_bytes)?;
    let mut text = |length: u64| {
        let (text, rest) = texts.split_at_checked(usize::try_from(length).ok()?)?;
        texts = rest;
        Some(text.to_vec())
    };
    let entry = |bytes: &[u8]| {
        let record: Record = bytemuck::pod_read_unaligned(bytes);
        let entry = Entry {
            path: text(record.texts[0])?,
            reason: String::from_utf8(text(record.texts[1])?).ok()?,
            stamp: record.stamp,
            hash: record.hash,
            input: record.input,
            whole: record.whole,
            whole_size: record.whole_size,
            sums: record.sums,
            squares: record.squares,
        };
        let input_end = entry.input.checked_add(entry.input_bytes(side) as u64)?;
        let whole_end = entry.whole.checked_add(entry.whole_bytes())?;
        (input_end.max(whole_end) <= header.index).then_some(entry)
    };
    let entries: Vec<Entry> =
        records.chunks_exact(size_of::<Record>()).map(entry).collect::<Option<_>>()?;
    let is_in_order = entries.is_sorted_by(|a, b| a.path < b.path);
    (texts.is_empty() && is_in_order).then_some(entries)
}
