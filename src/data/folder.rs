//! The folder of a dataset: finds its files, and recognises other datasets and packed archives in their place.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::error::{DataError, Version};

/// The parent of the default folders of all datasets.
const PARENT: &str = "./data";

/// The names by which a dataset's files are found on the disk, and the places where the files are published.
pub struct Files {
    /// The name of the dataset's folder, on the disk and in the published archive.
    pub folder: &'static str,
    /// The name of the folder of the dataset's Python version; None if there is no such version.
    pub python_folder: Option<&'static str>,
    /// The name of one of the dataset's files, as an example in messages.
    pub example: &'static str,
    /// The list of the dataset's files, as messages write it.
    pub listed: &'static str,
    /// Returns true if a file with this name shows that its folder holds the dataset.
    pub is_file: fn(&str) -> bool,
    /// Returns the other dataset or version to which a file or folder with this name belongs; None if the name is not
    /// typical of another dataset or version.
    pub version_of: fn(&str) -> Option<Version>,
    /// The web page of the dataset.
    pub page: &'static str,
    /// The published archive of the dataset; None if the files are published one by one.
    pub archive: Option<PublishedArchive>,
}

/// A published archive, a gzipped tar file.
#[derive(PartialEq, Eq, Debug)]
pub struct PublishedArchive {
    /// The file name of the archive.
    pub name: &'static str,
    /// The name of the archive on the dataset's web page.
    pub title: &'static str,
    /// The common beginning of the file names of the dataset's archives in all versions.
    pub prefix: &'static str,
    /// The URL of the archive.
    pub url: &'static str,
    /// The length of the archive, in bytes.
    pub n_bytes: u64,
    /// The MD5 checksum of the archive, from the web page.
    pub md5: u128,
    /// The names of the files that are unpacked, each with the largest size that is accepted, in bytes.
    pub files: &'static [(&'static str, u64)],
}

impl PublishedArchive {
    /// Returns the largest size of all unpacked files together, in bytes.
    pub fn unpacked_bytes(&self) -> u64 {
        self.files.iter().map(|(_, n_bytes)| n_bytes).sum()
    }
}

/// Returns the default folder of a dataset: its folder in [`PARENT`]. If only the folder of the Python version exists,
/// it is that one.
pub fn default_folder(files: &Files) -> PathBuf {
    let parent = Path::new(PARENT);
    subfolder(parent, files).unwrap_or_else(|| parent.join(files.folder))
}

/// Returns the first of a dataset's folders that exists in `dir`.
fn subfolder(dir: &Path, files: &Files) -> Option<PathBuf> {
    let folders = [Some(files.folder), files.python_folder];
    folders.into_iter().flatten().map(|name| dir.join(name)).find(|folder| folder.is_dir())
}

/// Returns the folder with a dataset's files: `dir` itself, or one of its subfolders [`Files::folder`] and
/// [`Files::python_folder`] if `dir` has no such file.
///
/// # Errors
/// If `dir` is a file or cannot be listed.
pub(super) fn locate(dir: &Path, files: &Files) -> Result<PathBuf, DataError> {
    if dir.is_file() {
        let is_archive = file_name(dir).ends_with("gz") || file_name(dir).ends_with(".tar");
        let path = dir.to_path_buf();
        return Err(if is_archive && files.archive.is_some() {
            DataError::Packed { path }
        } else {
            DataError::NotAFolder { path }
        });
    }
    // A folder may have a subfolder with a common name such as `train`.
    let is_file = |name: &String| (files.is_file)(name) && dir.join(name).is_file();
    let has_files = list(dir)?.iter().any(is_file);
    let inner = if has_files { None } else { subfolder(dir, files) };
    Ok(inner.unwrap_or_else(|| dir.to_path_buf()))
}

/// Returns an error that names a packed archive, another version or another dataset in `dir`. Returns None if `dir` has
/// none of them. If `dir` cannot be listed, the result is also None, because a later read reports this problem.
pub(super) fn other_form(dir: &Path, files: &Files) -> Option<DataError> {
    // The names are sorted, so a folder always gives the same message.
    let names: BTreeSet<String> = list(dir).ok()?.into_iter().collect();
    if let Some(archive) = &files.archive {
        let is_archive = |name: &&String| {
            name.starts_with(archive.prefix)
                && [".tar.gz", ".tgz", ".tar"].iter().any(|end| name.ends_with(end))
        };
        if let Some(name) = names.iter().find(is_archive) {
            return Some(DataError::Packed { path: dir.join(name) });
        }
    }
    names.iter().find_map(|name| {
        let version = (files.version_of)(name)?;
        Some(DataError::WrongVersion { path: dir.join(name), version })
    })
}

/// Returns the error for a folder `dir` without the file `name`. If `dir` holds another dataset, another version or a
/// packed archive, the error names that instead.
pub(super) fn missing(dir: &Path, name: &str, files: &Files) -> DataError {
    let partial = list(dir).is_ok_and(|names| names.iter().any(|name| (files.is_file)(name)));
    let missing = || DataError::MissingFile { path: dir.join(name), partial };
    other_form(dir, files).unwrap_or_else(missing)
}

/// Returns the names of the files and folders in a folder, unordered. Names that are not Unicode are left out, because
/// no file of a dataset has such a name.
pub(super) fn list(dir: &Path) -> Result<Vec<String>, DataError> {
    let unreadable = |source| DataError::Unreadable { path: dir.to_path_buf(), source };
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).map_err(unreadable)? {
        names.extend(entry.map_err(unreadable)?.file_name().into_string());
    }
    Ok(names)
}

/// Returns the last part of a path.
pub(super) fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Returns the contents of a file. The error names the file.
pub(super) fn read_file(path: &Path) -> Result<Vec<u8>, DataError> {
    fs::read(path).map_err(|source| DataError::Unreadable { path: path.to_path_buf(), source })
}

/// Reads the class names from a file with one name per line. Returns the names `published` if the file is missing.
pub(super) fn class_names(path: &Path, published: &[&str]) -> Result<Vec<String>, DataError> {
    let refused = |reason| DataError::ClassNames { path: path.to_path_buf(), reason };
    match fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(owned(published)),
        // Reading anything but a regular file, for example a pipe, could block.
        Ok(found) if !found.is_file() => return Err(refused("is not a file".to_string())),
        Err(source) => return Err(DataError::Unreadable { path: path.to_path_buf(), source }),
        Ok(_) => {}
    }
    let text = String::from_utf8(read_file(path)?);
    let text = text.map_err(|_| refused("is not UTF-8".to_string()))?;
    let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
    let names: Vec<String> = lines.filter(|name| !name.is_empty()).map(String::from).collect();
    checked_names(path, names, published)
}

/// Returns the class names that the file `path` has.
///
/// # Errors
/// If the number of names differs from that of the names `published`.
pub(super) fn checked_names(
    path: &Path,
    names: Vec<String>,
    published: &[&str],
) -> Result<Vec<String>, DataError> {
    let n_classes = published.len();
    let reason = match names.len() {
        n if n == n_classes => return Ok(names),
        1 => format!("has 1 name for {n_classes} classes"),
        n => format!("has {n} names for {n_classes} classes"),
    };
    Err(DataError::ClassNames { path: path.to_path_buf(), reason })
}

/// Returns the names as owned strings.
pub(super) fn owned(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_string()).collect()
}
