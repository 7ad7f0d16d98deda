//! Files that are whole or not there.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::shown::Shown;

/// A file or folder that could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", path.shown())]
pub struct FileError {
    /// The file or folder.
    pub path: PathBuf,
    /// The system's words.
    pub source: io::Error,
}

impl FileError {
    /// The error for `path`.
    pub fn at(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self { path: path.to_path_buf(), source }
    }
}

/// The ending of a file's name while the file is being written.
const TEMPORARY: &str = "wgrad-tmp";

/// Writes a file that never exists in part, even if the power fails: to a temporary one in the same
/// folder, which takes the name when its bytes are on the disk. A file of that name is replaced.
///
/// # Errors
/// When it cannot be written; the file that was there before is still there then.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let temporary = temporary(path);
    let written = File::create(&temporary)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&temporary, path))
        .and_then(|()| sync_folder(path));
    written.map_err(|error| {
        // What is there of it is of no use; that it may not be there either is no matter.
        let _ = fs::remove_file(&temporary);
        FileError::at(path)(error)
    })
}

/// Where what can be made again is kept from run to run: `$WGRAD_CACHE`, else `wgrad` in the system's folder for
/// caches (`~/.cache` on Linux). None where there is no such folder, or `$WGRAD_CACHE` is empty.
pub fn cache_folder() -> Option<PathBuf> {
    match std::env::var_os("WGRAD_CACHE") {
        Some(_) => path_variable("WGRAD_CACHE"),
        None => dirs::cache_dir().map(|folder| folder.join("wgrad")),
    }
}

/// The path in a variable of the environment, [with its `~`](expand_home). Empty counts as unset, as shells
/// have no better way to unset one for a command.
pub fn path_variable(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)?;
    Some(expand_home(&path).unwrap_or(path))
}

/// The path with the home folder for a `~` at its beginning, as shells have it where they see one: they do not in
/// `--out='~/run'`, `--out=~/run` and files of settings, and nobody means a folder of that name
/// (`./~` is one). Names that only begin with it, `~user` and `~old.png`, stay as they are.
///
/// # Errors
/// When there is no home folder.
pub fn expand_home(path: &Path) -> Result<PathBuf, String> {
    match path.strip_prefix("~") {
        Ok(below) if below.as_os_str().is_empty() => dirs::home_dir(),
        Ok(below) => dirs::home_dir().map(|home| home.join(below)),
        Err(_) => Some(path.to_path_buf()),
    }
    .ok_or_else(|| "~ stands for the home folder, and $HOME names none".to_string())
}

/// Whether this is the name of a file that [`write_whole`] was interrupted in writing.
pub fn is_temporary(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == TEMPORARY)
}

fn temporary(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".");
    name.push(TEMPORARY);
    path.with_file_name(name)
}

/// The new name is on the disk once its folder is.
#[cfg(unix)]
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// Windows opens no folder as a file, and writes names through.
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
    fn a_file_is_replaced_and_nothing_else_is_left() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("file.txt");
        for text in ["one", "two"] {
            write_whole(&path, text.as_bytes()).expect("it can be written");
            assert_eq!(fs::read_to_string(&path).expect("it is there"), text);
        }
        assert_eq!(fs::read_dir(folder.path()).expect("readable").count(), 1);
    }

    #[test]
    fn what_cannot_be_written_is_named_and_leaves_nothing() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        // A folder of that name cannot be replaced by a file.
        let path = folder.path().join("taken");
        fs::create_dir_all(path.join("inner")).expect("folders");
        let error = write_whole(&path, b"text").expect_err("it is taken");
        assert!(error.to_string().contains("taken"), "{error}");
        assert_eq!(fs::read_dir(folder.path()).expect("readable").count(), 1);
        assert!(write_whole(Path::new("/nowhere/file"), b"").is_err());
        assert!(is_temporary(&temporary(&path)));
    }
}
