//! Writes a file of decoded pictures.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use memmap2::Mmap;
use sha2::{Digest, Sha256};

use super::super::error::PicturesError;
use super::{Cache, Entry, Header, Key, MAGIC, Record, TEMPORARY, map, n_bytes, vanished};

/// The bytes of pixels that are collected in memory before they are written.
const BUFFER: usize = 16 << 20;

/// A file that is being written.
#[derive(Debug)]
pub struct Writer {
    file: File,
    /// The name under which the file is written; None after it has its final name.
    temporary: Option<PathBuf>,
    /// The final name; None for a file that is used once.
    target: Option<PathBuf>,
    key: Key,
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
    /// Begins a file of at most `n` pictures in the folder `cache`, which replaces the file with the same key. If `cache` is
    /// None or cannot be written, the file is in the system's folder for temporary files, and is used once. Files that no
    /// run will read again are removed from `cache`.
    ///
    /// # Errors
    /// If no file can be written there either.
    pub fn create(cache: Option<&Path>, key: &Key, n: usize) -> Result<Self, PicturesError> {
        let in_cache = |cache: &Path| {
            fs::create_dir_all(cache).ok()?;
            vanished::remove(cache);
            let target = cache.join(key.file_name());
            Some((create_beside(&target).ok()?, Some(target)))
        };
        let ((mut file, temporary), target) = match cache.and_then(in_cache) {
            Some(created) => created,
            None => {
                let path = std::env::temp_dir().join("wgrad-pictures");
                let created = create_beside(&path);
                (created.map_err(|source| PicturesError::Cache { path, source })?, None)
            }
        };
        let dir = key.dir.as_os_str().as_encoded_bytes();
        let start = (size_of::<Header>() + dir.len()) as u64;
        let region = |at| Region { at, bytes: Vec::new() };
        let (inputs, wholes) = (region(start), region(start + (n * n_bytes(key.side)) as u64));
        let written = file
            .seek(SeekFrom::Start(size_of::<Header>() as u64))
            .and_then(|_| file.write_all(dir));
        let writer = Self {
            file,
            temporary: Some(temporary),
            target,
            key: key.clone(),
            inputs,
            wholes,
            entries: Vec::new(),
        };
        written.map_err(|source| writer.error(source))?;
        Ok(writer)
    }

    /// Appends a picture. The places of the entry are replaced. The paths of the pictures ascend.
    ///
    /// # Errors
    /// If the pixels cannot be written.
    pub fn push(&mut self, entry: Entry, input: &[u8], whole: &[u8]) -> Result<(), PicturesError> {
        let (input, whole) = (self.inputs.push(input), self.wholes.push(whole));
        self.entries.push(Entry { input, whole, ..entry });
        if self.inputs.bytes.len() + self.wholes.bytes.len() > BUFFER {
            self.write().map_err(|source| self.error(source))?;
        }
        Ok(())
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
        Ok(Cache { map: Arc::new(map), entries, side: self.key.side })
    }

    /// Writes everything that is not written yet, the header at last, and maps the file.
    fn complete(&mut self) -> io::Result<Mmap> {
        let index = self.index();
        self.write()?;
        let [red, green, blue] = self.key.background;
        let header = Header {
            magic: MAGIC,
            side: self.key.side as u64,
            background: [red, green, blue, 0],
            dir_length: self.key.dir.as_os_str().len() as u32,
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
    // The lock shows other processes that this one still writes. A file system without locks is no obstacle.
    let _ = file.try_lock();
    Ok((file, path))
}
