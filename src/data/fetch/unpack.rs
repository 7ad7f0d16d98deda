//! Unpacks a dataset's archive to a folder: only the files of the dataset, each with a limit on its size.

use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use flate2::read::GzDecoder;
use tar::EntryType;

use super::{Archive, Event, FetchError};
use crate::base::files;
use crate::data::{Files, PublishedArchive, ReadOptions};

/// The largest size of an archive's headers and skipped entries together, decompressed, in bytes.
const MARGIN_BYTES: u64 = 1 << 20;

/// Number of bytes that are copied at a time.
const CHUNK_BYTES: usize = 1 << 16;

/// Creates the folder `dir` with the unpacked files of an archive. The caller has checked the archive's checksum. The
/// folder appears only when it is complete.
///
/// `description` names the dataset, and `path` is the archive's name in messages.
pub(super) fn unpack(
    description: &Archive,
    archive: &mut File,
    path: &Path,
    dir: &Path,
    watch: &mut dyn FnMut(Event<'_>),
    stop: &AtomicBool,
) -> Result<(), FetchError> {
    archive.rewind().map_err(FetchError::io(path))?;
    let temporary = temporary(dir);
    // An interrupted process may have left this folder. A fetch that downloads holds the lock on the partial download,
    // so two such fetches do not use the folder at the same time.
    let _ = fs::remove_dir_all(&temporary);
    fs::create_dir_all(&temporary).map_err(FetchError::io(&temporary))?;
    let result = fill(description, archive, path, &temporary, watch, stop).and_then(|()| {
        // If `dir` is an empty folder, `remove_dir` removes it. If `dir` is a file or has contents, `remove_dir` does
        // nothing, and `rename` returns the error.
        let _ = fs::remove_dir(dir);
        fs::rename(&temporary, dir).map_err(FetchError::io(dir))?;
        files::sync_folder(dir).map_err(FetchError::io(dir))
    });
    if result.is_err() {
        let _ = fs::remove_dir_all(&temporary);
    }
    result
}

fn temporary(dir: &Path) -> PathBuf {
    let mut name = dir.file_name().unwrap_or_default().to_os_string();
    name.push(".part");
    dir.with_file_name(name)
}

/// Unpacks into `folder`, and checks the files by reading them as training does.
fn fill(
    description: &Archive,
    archive: &File,
    path: &Path,
    folder: &Path,
    watch: &mut dyn FnMut(Event<'_>),
    stop: &AtomicBool,
) -> Result<(), FetchError> {
    let mut sink = |item: Item<'_>| match item {
        Item::Skipped(name) => {
            watch(Event::Skipped(name));
            Ok(())
        }
        Item::File(name, content) => write(&folder.join(name), content, stop),
    };
    let dataset = description.dataset.title();
    let wrong = |reason| FetchError::Archive { dataset, path: path.to_path_buf(), reason };
    let files = description.dataset.files().expect("an archive has files");
    read(io::BufReader::with_capacity(CHUNK_BYTES, archive), files, &mut sink).map_err(
        |problem| match problem {
            Problem::Archive(reason) => wrong(reason),
            Problem::Sink(_) if stop.load(Ordering::Relaxed) => {
                let received = archive.metadata().map_or(0, |metadata| metadata.len());
                FetchError::Stopped { received, part: path.to_path_buf() }
            }
            Problem::Sink(source) => FetchError::Io { path: folder.to_path_buf(), source },
        },
    )?;
    let read = description.dataset.read(folder, ReadOptions::default());
    read.map_err(|error| wrong(error.to_string()))?;
    Ok(())
}

/// Writes a file and flushes it to the disk.
fn write(path: &Path, content: &mut dyn Read, stop: &AtomicBool) -> Result<(), Problem> {
    let mut file = File::create_new(path).map_err(Problem::Sink)?;
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        if stop.load(Ordering::Relaxed) {
            return Err(Problem::Sink(io::ErrorKind::Other.into()));
        }
        match content.read(&mut buffer).map_err(damaged)? {
            0 => return file.sync_all().map_err(Problem::Sink),
            n => file.write_all(&buffer[..n]).map_err(Problem::Sink)?,
        }
    }
}

/// An entry of an archive, as [`read`] passes it to its argument `sink`.
pub enum Item<'a> {
    /// One of the dataset's files: its name without the folder, and its contents.
    File(&'static str, &'a mut dyn Read),
    /// The path of an entry that is not a file of the dataset.
    Skipped(&'a str),
}

/// The failure of reading an archive.
pub enum Problem {
    /// The archive is damaged or malicious.
    Archive(String),
    /// An unpacked file could not be written.
    Sink(io::Error),
}

fn damaged(error: io::Error) -> Problem {
    Problem::Archive(format!("it is damaged ({error})"))
}

/// Reads the archive of a dataset to its end, and passes each entry except folders and extension headers to `sink`.
/// `files` has the names and size limits of the dataset's files.
///
/// Decompresses at most the sum of these limits plus 1 MiB. The contents of the files are not kept in memory.
///
/// # Errors
/// If the archive is damaged or malicious, or `sink` fails.
pub fn read(
    archive: impl Read,
    files: &Files,
    sink: &mut dyn FnMut(Item<'_>) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let allowed = files.archive.as_ref().map_or(&[][..], |archive| archive.files);
    let unpacked = files.archive.as_ref().map_or(0, PublishedArchive::unpacked_bytes);
    let max_bytes = unpacked + MARGIN_BYTES;
    let mut tar = tar::Archive::new(GzDecoder::new(archive).take(max_bytes));
    let mut seen = Vec::new();
    // In raw mode, extensions for long names are ordinary entries. Otherwise, the reader would allocate memory for any
    // length that such an entry claims.
    for entry in tar.entries().map_err(damaged)?.raw(true) {
        let mut entry = entry.map_err(damaged)?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let (kind, size) = (entry.header().entry_type(), entry.size());
        if leads_outside(&name) {
            return Err(Problem::Archive(format!("the path {name:?} leads out of the folder")));
        }
        let Some((name, max_bytes)) = expected(&name, files.folder, allowed) else {
            let is_plain = matches!(
                kind,
                EntryType::Directory
                    | EntryType::XHeader
                    | EntryType::XGlobalHeader
                    | EntryType::GNULongName
                    | EntryType::GNULongLink
            );
            if !is_plain {
                sink(Item::Skipped(&name))?;
            }
            continue;
        };
        if !matches!(kind, EntryType::Regular | EntryType::Continuous) {
            return Err(Problem::Archive(format!("{name} is not a regular file")));
        }
        if size > max_bytes {
            let reason = format!("{name} has {size} bytes, and at most {max_bytes} are allowed");
            return Err(Problem::Archive(reason));
        }
        if seen.contains(&name) {
            return Err(Problem::Archive(format!("it contains {name} twice")));
        }
        seen.push(name);
        let mut content = Counted { inner: &mut entry, n_left: size };
        sink(Item::File(name, &mut content))?;
        if content.n_left > 0 {
            return Err(Problem::Archive(format!("it ends within {name}")));
        }
    }
    Ok(())
}

/// Returns the dataset's file that has the path `name` in an archive: its file name, and its largest size in bytes.
/// Returns None if the dataset has no such file.
fn expected(
    name: &str,
    folder: &str,
    files: &[(&'static str, u64)],
) -> Option<(&'static str, u64)> {
    let name = name.strip_prefix("./").unwrap_or(name);
    let name = name.strip_prefix(folder)?.strip_prefix('/')?;
    files.iter().copied().find(|(file, _)| *file == name)
}

/// Returns true for an absolute path and for a path with `..`. On every operating system, both slashes and backslashes
/// separate folders, and a drive letter marks an absolute path.
fn leads_outside(name: &str) -> bool {
    let mut parts = name.split(['/', '\\']);
    name.starts_with(['/', '\\']) || name.get(1..2) == Some(":") || parts.any(|part| part == "..")
}

/// Counts the bytes of an entry that are not read yet.
struct Counted<'a, R> {
    inner: &'a mut R,
    n_left: u64,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.n_left = self.n_left.saturating_sub(n as u64);
        Ok(n)
    }
}
