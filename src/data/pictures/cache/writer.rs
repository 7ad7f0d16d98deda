//! Writes a file of decoded pictures.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use memmap2::Mmap;
use sha2::{Digest, Sha256};

use super::super::error::PicturesError;
use super::{Cache, Entry, Header, MAGIC, Record, map, n_bytes};

/// The ending of the names of files that are being written.
const TEMPORARY: &str = "wgrad-tmp";

/// The bytes of pixels that are collected in memory before they are written.
const BUFFER: usize = 16 << 20;

/// The age at which the file of an interrupted process is removed.
const ABANDONED: Duration = Duration::from_secs(24 * 60 * 60);

/// A file that is being written.
#[derive(Debug)]
pub struct Writer {
    file: File,
    /// The name under which the file is written; None after it has its final name.
    temporary: Option<PathBuf>,
    /// The final name; None for a file that is used once.
    target: Option<PathBuf>,
    /// The number of rows and columns of an input.
    side: usize,
    /// The inputs that are not written yet.
    inputs: Region,
    /// The whole pictures that are not written yet.
    wholes: Region,
    entries: Vec<Entry>,
}

/// A region of a file that grows.
#[derive(Debug)]
struct Region {
    /// The place in the file of the bytes that are not written yet.
    at: u64,
    /// These bytes.
    bytes: Vec<u8>,
}

impl Region {
    /// Appends bytes and returns their place in the file.
    fn push(&mut self, bytes: &[u8]) -> u64 {
        let place = self.at + self.bytes.len() as u64;
        self.bytes.extend_from_slice(bytes);
        place
    }

    fn write(&mut self, file: &mut File) -> io::Result<()> {
        file.seek(SeekFrom::Start(self.at))?;
        file.write_all(&self.bytes)?;
        self.at += self.bytes.len() as u64;
        self.bytes.clear();
        Ok(())
    }
}

impl Writer {
    /// Begins a file of at most `n` pictures that replaces `target`. If `target` is None or its folder cannot be written,
    /// the file is in the system's folder for temporary files, and is used once.
    ///
    /// # Errors
    /// If no file can be written there either.
    pub fn create(target: Option<&Path>, n: usize, side: usize) -> Result<Self, PicturesError> {
        let in_cache = |target: &Path| {
            fs::create_dir_all(target.parent()?).ok()?;
            remove_abandoned(target);
            Some((create_beside(target).ok()?, Some(target.to_path_buf())))
        };
        let ((file, temporary), target) = match target.and_then(in_cache) {
            Some(created) => created,
            None => {
                let path = std::env::temp_dir().join("wgrad-pictures");
                let created = create_beside(&path);
                (created.map_err(|source| PicturesError::Cache { path, source })?, None)
            }
        };
        let start = size_of::<Header>() as u64;
        let region = |at| Region { at, bytes: Vec::new() };
        let (inputs, wholes) = (region(start), region(start + (n * n_bytes(side)) as u64));
        Ok(Self {
            file,
            temporary: Some(temporary),
            target,
            side,
            inputs,
            wholes,
            entries: Vec::new(),
        })
    }

    /// Appends a picture and returns its index. The places of the entry are replaced.
    ///
    /// # Errors
    /// If the pixels cannot be written.
    pub fn push(
        &mut self,
        entry: Entry,
        input: &[u8],
        whole: &[u8],
    ) -> Result<usize, PicturesError> {
        let (input, whole) = (self.inputs.push(input), self.wholes.push(whole));
        self.entries.push(Entry { input, whole, ..entry });
        if self.inputs.bytes.len() + self.wholes.bytes.len() > BUFFER {
            self.write().map_err(|source| self.error(source))?;
        }
        Ok(self.entries.len() - 1)
    }

    /// Completes the file, gives it its final name and maps it.
    ///
    /// # Errors
    /// If the file cannot be written or mapped.
    pub fn finish(mut self) -> Result<Cache, PicturesError> {
        let map = self.complete().map_err(|source| self.error(source))?;
        // The map stays valid if the file gets another name or, on most systems, none. So a failure of the renaming only
        // means that the next run decodes the pictures again.
        if let (Some(temporary), Some(target)) = (&self.temporary, &self.target)
            && fs::rename(temporary, target).is_ok()
        {
            self.temporary = None;
        }
        let entries = std::mem::take(&mut self.entries);
        Ok(Cache { map: Arc::new(map), entries, side: self.side })
    }

    /// Writes everything that is not written yet, the header at last, and maps the file.
    fn complete(&mut self) -> io::Result<Mmap> {
        let index = self.index();
        self.write()?;
        let header = Header {
            magic: MAGIC,
            side: self.side as u64,
            n: self.entries.len() as u64,
            index: self.wholes.at,
            length: self.wholes.at + index.len() as u64,
            hash: Sha256::digest(&index).into(),
        };
        self.file.write_all(&index)?;
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(bytemuck::bytes_of(&header))?;
        self.file.set_len(header.length)?;
        self.file.sync_all()?;
        map(&self.file)
    }

    /// Writes the buffered pixels. The file's position is then the end of the whole pictures.
    fn write(&mut self) -> io::Result<()> {
        self.inputs.write(&mut self.file)?;
        self.wholes.write(&mut self.file)
    }

    /// Returns the records and their texts.
    fn index(&self) -> Vec<u8> {
        let record = |entry: &Entry| Record {
            texts: [entry.path.len() as u64, entry.reason.len() as u64],
            stamp: entry.stamp,
            hash: entry.hash,
            input: entry.input,
            whole: entry.whole,
            whole_size: entry.whole_size,
            sums: entry.sums,
            squares: entry.squares,
        };
        let records: Vec<Record> = self.entries.iter().map(record).collect();
        let texts =
            self.entries.iter().flat_map(|entry| [&entry.path[..], entry.reason.as_bytes()]);
        let mut index: Vec<u8> = bytemuck::cast_slice(&records).to_vec();
        texts.for_each(|text| index.extend(text));
        index
    }

    fn error(&self, source: io::Error) -> PicturesError {
        PicturesError::Cache { path: self.temporary.clone().unwrap_or_default(), source }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if let Some(temporary) = &self.temporary {
            let _ = fs::remove_file(temporary);
        }
    }
}

/// Creates a file beside `path` with a name that no other process uses.
fn create_beside(path: &Path) -> io::Result<(File, PathBuf)> {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}-{count}.{TEMPORARY}", process::id()));
    let path = path.with_file_name(name);
    let created = OpenOptions::new().read(true).write(true).create_new(true).open(&path);
    let file = match created {
        // The file of an earlier process with the same number, which ended early.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::remove_file(&path)?;
            OpenOptions::new().read(true).write(true).create_new(true).open(&path)?
        }
        created => created?,
    };
    Ok((file, path))
}

/// Removes the files that interrupted processes left beside `target` long ago. Failures are ignored.
fn remove_abandoned(target: &Path) {
    let entries = target.parent().and_then(|folder| fs::read_dir(folder).ok());
    for entry in entries.into_iter().flatten().flatten() {
        let is_temporary = entry.path().extension().is_some_and(|end| end == TEMPORARY);
        let modified = entry.metadata().and_then(|data| data.modified()).ok();
        let age = modified.and_then(|time| SystemTime::now().duration_since(time).ok());
        if is_temporary && age.is_some_and(|age| age > ABANDONED) {
            let _ = fs::remove_file(entry.path());
        }
    }
}
