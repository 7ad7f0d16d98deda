//! File helpers: atomic writes, the cache folder, and `~` in paths.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::shown::Shown;

/// The error of reading or writing a file or folder.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", path.shown())]
pub struct FileError {
    /// The path of the file or folder.
    pub path: PathBuf,
    /// The operating system's error.
    pub source: io::Error,
}

impl FileError {
    /// Returns a closure that turns an I/O error into the error for `path`.
    pub fn at(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self { path: path.to_path_buf(), source }
    }
}

/// The extension of a file's temporary name while the file is being written.
const TEMPORARY: &str = "wgrad-tmp";

/// Writes a file atomically: even after a power failure, `path` is the complete new file or is unchanged. The function
/// writes the bytes to a temporary file in the same folder, flushes the temporary file to the disk, and renames it. An
/// existing file is replaced.
///
/// # Errors
/// If the file cannot be written. An existing file is then unchanged, unless only the flush of the folder failed.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let temporary = temporary(path);
    let written = File::create(&temporary)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&temporary, path))
        .and_then(|()| sync_folder(path));
    written.map_err(|error| {
        // The temporary file may not exist, so an error of the removal is ignored.
        let _ = fs::remove_file(&temporary);
        FileError::at(path)(error)
    })
}

/// Returns the cache folder, for data that can be recomputed: `$WGRAD_CACHE`, otherwise `wgrad` in the system's cache
/// folder (`~/.cache` on Linux). None if the system has no such folder or `$WGRAD_CACHE` is empty.
pub fn cache_folder() -> Option<PathBuf> {
    match std::env::var_os("WGRAD_CACHE") {
        Some(_) => path_variable("WGRAD_CACHE"),
        None => dirs::cache_dir().map(|folder| folder.join("wgrad")),
    }
}

/// Returns the path in an environment variable, [with `~` expanded](expand_home). An empty variable counts as unset:
/// `NAME= wgrad ...` unsets the variable for one command.
pub fn path_variable(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)?;
    Some(expand_home(&path).unwrap_or(path))
}

/// Returns the path with a leading `~` replaced by the home folder. Shells expand `~` only at the start of a word
/// without quotes. They do not expand `~` in `--out='~/run'`, in `--out=~/run` or in a settings file. A folder that is
/// really named `~` can be written as `./~`. Names that only begin with `~`, such as `~user` and `~old.png`, stay as
/// they are.
///
/// # Errors
/// If there is no home folder.
pub fn expand_home(path: &Path) -> Result<PathBuf, String> {
    match path.strip_prefix("~") {
        Ok(below) if below.as_os_str().is_empty() => dirs::home_dir(),
        Ok(below) => dirs::home_dir().map(|home| home.join(below)),
        Err(_) => Some(path.to_path_buf()),
    }
    .ok_or_else(|| {
        "~: $HOME does not name a home folder; set it or write the whole path".to_string()
    })
}

/// Returns true for the temporary name of [`write_whole`]. An interrupted write leaves such a file behind.
pub fn is_temporary(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == TEMPORARY)
}

fn temporary(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".");
    name.push(TEMPORARY);
    path.with_file_name(name)
}

/// Flushes the folder of `path` to the disk. Before the flush, a power failure could lose the name of a new file.
#[cfg(unix)]
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// Does nothing, because Windows cannot open a folder as a file to flush it.
#[cfg(not(unix))]
pub(crate) fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tilde_is_the_home_folder() {
        let home = dirs::home_dir().expect("a home folder");
        let expanded = |path: &str| expand_home(Path::new(path)).expect("a path");
        assert_eq!(expanded("~"), home);
        assert_eq!(expanded("~/"), home);
        assert_eq!(expanded("~/runs/one"), home.join("runs/one"));
        for same in ["~user/x", "~old.png", "./~/x", "x/~", "/x", ""] {
            assert_eq!(expanded(same), Path::new(same));
        }
    }

    #[test]
    fn a_write_replaces_the_file_and_leaves_no_other() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("file.txt");
        for text in ["one", "two"] {
            write_whole(&path, text.as_bytes()).expect("it can be written");
            assert_eq!(fs::read_to_string(&path).expect("it is there"), text);
        }
        assert_eq!(fs::read_dir(folder.path()).expect("readable").count(), 1);
    }

    #[test]
    fn a_failed_write_names_the_file_and_leaves_no_temporary() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        // At the path there is a folder that is not empty. A file cannot replace it, so the write fails.
        let path = folder.path().join("taken");
        fs::create_dir_all(path.join("inner")).expect("folders");
        let error = write_whole(&path, b"text").expect_err("it is taken");
        assert!(error.to_string().contains("taken"), "{error}");
        assert_eq!(fs::read_dir(folder.path()).expect("readable").count(), 1);
        assert!(write_whole(Path::new("/nowhere/file"), b"").is_err());
        assert!(is_temporary(&temporary(&path)));
    }
}
