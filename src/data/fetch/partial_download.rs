//! The file of a partial download.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use md5::{Digest, Md5};

use super::{FetchError, Md5Sum};

/// A partial download, locked against other processes. The file stays after the process ends, unless it is empty.
pub(super) struct PartialDownload {
    file: File,
    path: PathBuf,
    len: u64,
    /// The folders that were created for the file, innermost first.
    made: Vec<PathBuf>,
}

impl PartialDownload {
    /// Opens the partial download of the archive `name` that an earlier fetch has left in `folder`. If there is no such
    /// file, creates an empty one.
    pub(super) fn open(folder: &Path, name: &str) -> Result<Self, FetchError> {
        let missing = folder.ancestors().filter(|p| !p.as_os_str().is_empty());
        let made = missing.take_while(|p| !p.exists()).map(Path::to_path_buf).collect();
        fs::create_dir_all(folder).map_err(FetchError::io(folder))?;
        let path = folder.join(format!("{name}.part"));
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = file.map_err(FetchError::io(&path))?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => return Err(FetchError::Busy { part: path }),
            // Some network file systems have no locks. If two processes write the file there, its checksum is wrong,
            // and the download fails.
            Ok(()) | Err(TryLockError::Error(_)) => {}
        }
        let len = file.seek(SeekFrom::End(0)).map_err(FetchError::io(&path))?;
        Ok(Self { file, path, len, made })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the number of bytes that are downloaded so far.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Appends bytes to the file.
    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), FetchError> {
        self.file.write_all(bytes).map_err(FetchError::io(&self.path))?;
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// Discards all bytes of the file.
    pub(super) fn clear(&mut self) -> Result<(), FetchError> {
        let cleared = self.file.set_len(0).and_then(|()| self.file.rewind());
        cleared.map_err(FetchError::io(&self.path))?;
        self.len = 0;
        Ok(())
    }

    /// Returns the MD5 of the whole file.
    pub(super) fn md5(&mut self, stop: &AtomicBool) -> Result<Md5Sum, FetchError> {
        let stopped = || stop.load(Ordering::Relaxed);
        match md5_of(&mut self.file, &stopped) {
            Err(_) if stopped() => Err(self.stopped()),
            result => result.map_err(FetchError::io(&self.path)),
        }
    }

    /// Returns the error of a stopped fetch.
    pub(super) fn stopped(&self) -> FetchError {
        FetchError::Stopped { received: self.len, part: self.path.clone() }
    }

    /// Removes the file: sets the length to 0, because `drop` removes a file of length 0.
    pub(super) fn remove(mut self) {
        self.len = 0;
    }
}

impl Drop for PartialDownload {
    /// If the partial download has no bytes, removes its file and the folders that were created for the file.
    fn drop(&mut self) {
        if self.len == 0 {
            // An empty file or folder that cannot be removed is harmless.
            let _ = fs::remove_file(&self.path);
            for folder in &self.made {
                let _ = fs::remove_dir(folder);
            }
        }
    }
}

/// Returns the MD5 of a whole file, and leaves the position at its end. Fails once `stopped` returns true.
pub(super) fn md5_of(file: &mut File, stopped: &dyn Fn() -> bool) -> io::Result<Md5Sum> {
    file.rewind()?;
    let mut md5 = Md5::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(Md5Sum(md5.finalize().into())),
            n if !stopped() => md5.update(&buffer[..n]),
            _ => return Err(io::ErrorKind::Other.into()),
        }
    }
}
