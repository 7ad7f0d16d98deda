//! CIFAR-10 in its published binary format.
//!
//! The dataset has five files of training images, `data_batch_1.bin` to `data_batch_5.bin`, and one file of test
//! images, `test_batch.bin`. Each file consists of 10,000 records of [`RECORD_BYTES`] bytes:
//!
//! ```text
//! byte 0            the label, 0 to 9
//! byte 1..1025      the red plane, 32 rows of 32 bytes, from the top left
//! byte 1025..2049   the green plane
//! byte 2049..3073   the blue plane
//! ```
//!
//! The format has neither a header nor a checksum. So only two checks are possible, and [`read`] makes both: a file has
//! a whole number of records, and every label is at most 9. Files with fewer records than the published ones are
//! accepted with a warning, because a part of CIFAR-10 is enough for quick experiments.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::error::{DataError, Version};
use super::{Dataset, IMAGE_BYTES, N_CLASSES, Split};
use crate::base::shown::Shown;

/// The name of the folder in the published archive.
pub const FOLDER: &str = "cifar-10-batches-bin";

/// The number of bytes of a record: a label and an image.
pub const RECORD_BYTES: usize = 1 + IMAGE_BYTES;

/// The class names, in the order of the labels.
pub const CLASSES: [&str; N_CLASSES] =
    ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

/// The mean of the published training images by channel, for pixels in 0..=1.
pub const MEAN: [f64; 3] = [0.4914, 0.4822, 0.4465];

/// The standard deviation of the published training images by channel, for pixels in 0..=1.
pub const STANDARD_DEVIATION: [f64; 3] = [0.2470, 0.2435, 0.2616];

const TEST_FILE: &str = "test_batch.bin";
/// The file with the class names, one per line.
const CLASSES_FILE: &str = "batches.meta.txt";
const N_OFFICIAL_TRAINING_FILES: usize = 5;
const N_OFFICIAL_RECORDS: usize = 10_000;

/// Reads CIFAR-10 from `dir`, or from the folder `cifar-10-batches-bin` in it.
///
/// The training images are those of all `data_batch_*.bin` in the order of their names. The class names come
/// from `batches.meta.txt`; without that file they are [`CLASSES`].
///
/// # Errors
///
/// If a file is missing, unreadable, empty or truncated, or has a label above 9; if the number of class names
/// is wrong; if the folder holds another version of the dataset or a packed archive. Each error names the
/// file.
pub fn read(dir: &Path) -> Result<Dataset, DataError> {
    let dir = locate(dir)?;
    let training_files = training_files(&dir)?;

    let mut counts = Vec::new();
    let mut train = Split::default();
    for path in &training_files {
        counts.push((file_name(path), append_records(path, &mut train)?));
    }
    let classes = classes(&dir.join(CLASSES_FILE))?;
    let mut test = Split::default();
    let test_file = dir.join(TEST_FILE);
    counts.push((TEST_FILE.into(), append_records(&test_file, &mut test)?));

    Ok(Dataset {
        name: "cifar10",
        description: format!(
            "CIFAR-10 from {}: {} training and {} test images",
            dir.shown(),
            train.len(),
            test.len()
        ),
        dir: Some(fs::canonicalize(&dir).unwrap_or(dir)),
        classes,
        warnings: warnings(&counts),
        train,
        validation: Split::default(),
        test,
        whole: None,
    })
}

/// Returns an error that names a packed archive or another version of CIFAR-10 in `dir`. Returns None if `dir` has
/// neither. If `dir` cannot be listed, the result is also None, because a later read reports this problem.
pub(crate) fn other_form(dir: &Path) -> Option<DataError> {
    // The names are sorted, so a folder always gives the same message.
    let names: BTreeSet<String> = list(dir).ok()?.into_iter().collect();
    let is_archive = |name: &&String| {
        name.starts_with("cifar-10")
            && [".tar.gz", ".tgz", ".tar"].iter().any(|e| name.ends_with(e))
    };
    if let Some(name) = names.iter().find(is_archive) {
        return Some(DataError::Packed { path: dir.join(name) });
    }
    let version_of = |name: &str| match name {
        "batches.meta" | "test_batch" | "cifar-10-batches-py" => Some(Version::Python),
        "cifar-10-batches-mat" => Some(Version::Matlab),
        "train.bin" | "fine_label_names.txt" | "cifar-100-binary" => Some(Version::Cifar100),
        _ if name.ends_with(".mat") => Some(Version::Matlab),
        _ if name.starts_with("data_batch_") && !name.contains('.') => Some(Version::Python),
        _ => None,
    };
    names.iter().find_map(|name| {
        let version = version_of(name)?;
        Some(DataError::WrongVersion { path: dir.join(name), version })
    })
}

/// Returns the folder with the binary files: `dir` itself or its subfolder [`FOLDER`].
fn locate(dir: &Path) -> Result<PathBuf, DataError> {
    if dir.is_file() {
        let is_archive = file_name(dir).ends_with("gz") || file_name(dir).ends_with(".tar");
        let path = dir.to_path_buf();
        return Err(if is_archive {
            DataError::Packed { path }
        } else {
            DataError::NotAFolder { path }
        });
    }
    let names = list(dir)?;
    let has_files = names.iter().any(|name| is_training_file(name) || name == TEST_FILE);
    let inner = dir.join(FOLDER);
    Ok(if !has_files && inner.is_dir() { inner } else { dir.to_path_buf() })
}

/// Returns all `data_batch_*.bin` of a folder, sorted by name, after checking that the test file exists.
fn training_files(dir: &Path) -> Result<Vec<PathBuf>, DataError> {
    let names = list(dir)?;
    let mut training: Vec<&String> = names.iter().filter(|name| is_training_file(name)).collect();
    training.sort();

    let missing = if training.is_empty() {
        Some("data_batch_1.bin")
    } else if !names.iter().any(|name| name == TEST_FILE) {
        Some(TEST_FILE)
    } else {
        None
    };
    match missing {
        None => Ok(training.iter().map(|name| dir.join(name)).collect()),
        Some(name) => {
            let partial = name == TEST_FILE || names.iter().any(|name| name == TEST_FILE);
            let missing = || DataError::MissingFile { path: dir.join(name), partial };
            Err(other_form(dir).unwrap_or_else(missing))
        }
    }
}

fn is_training_file(name: &str) -> bool {
    name.starts_with("data_batch_") && name.ends_with(".bin")
}

/// Returns the names in a folder, unordered. Names that are not Unicode are left out, because no file of the dataset
/// has such a name.
fn list(dir: &Path) -> Result<Vec<String>, DataError> {
    let unreadable = |source| DataError::Unreadable { path: dir.to_path_buf(), source };
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).map_err(unreadable)? {
        names.extend(entry.map_err(unreadable)?.file_name().into_string());
    }
    Ok(names)
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Reads the class names from a file with one name per line. Returns the published names if the file is missing.
fn classes(path: &Path) -> Result<Vec<String>, DataError> {
    let refused = |reason| DataError::ClassNames { path: path.to_path_buf(), reason };
    let unreadable = |source| DataError::Unreadable { path: path.to_path_buf(), source };
    match fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Ok(CLASSES.map(String::from).to_vec());
        }
        // Reading another kind of file, such as a pipe, could block.
        Ok(found) if !found.is_file() => return Err(refused("is not a file".to_string())),
        found => found.map_err(unreadable)?,
    };
    let bytes = fs::read(path).map_err(unreadable)?;
    let text = String::from_utf8(bytes).map_err(|_| refused("is not UTF-8".to_string()))?;
    let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
    let names: Vec<String> = lines.filter(|name| !name.is_empty()).map(String::from).collect();
    match names.len() {
        N_CLASSES => Ok(names),
        1 => Err(refused(format!("has 1 name for {N_CLASSES} classes"))),
        n => Err(refused(format!("has {n} names for {N_CLASSES} classes"))),
    }
}

/// Appends the records of a file to a split and returns their number.
fn append_records(path: &Path, split: &mut Split) -> Result<usize, DataError> {
    let bytes = fs::read(path)
        .map_err(|source| DataError::Unreadable { path: path.to_path_buf(), source })?;
    append_bytes(path, &bytes, split)
}

/// Appends the records in a file's bytes to a split and returns their number. `path` is the file's name in errors.
///
/// # Errors
/// If the file is empty, ends inside a record, or has a label that is not a class.
pub fn append_bytes(path: &Path, bytes: &[u8], split: &mut Split) -> Result<usize, DataError> {
    let path = || path.to_path_buf();

    if bytes.is_empty() {
        return Err(DataError::Empty { path: path() });
    }
    let (records, rest) = bytes.as_chunks::<RECORD_BYTES>();
    if !rest.is_empty() {
        return Err(DataError::Truncated {
            path: path(),
            record: records.len(),
            offset: records.len() * RECORD_BYTES,
            n_bytes: rest.len(),
        });
    }
    split.images.reserve(records.len() * IMAGE_BYTES);
    split.labels.reserve(records.len());
    for (record, [label, image @ ..]) in records.iter().enumerate() {
        if usize::from(*label) >= N_CLASSES {
            let offset = record * RECORD_BYTES;
            return Err(DataError::Label { path: path(), record, offset, label: *label });
        }
        split.labels.push(*label);
        split.images.extend_from_slice(image);
    }
    Ok(records.len())
}

/// Returns warnings about differences from the published dataset. `counts` has the name and the number of records of
/// each file; the test file is the last one.
fn warnings(counts: &[(String, usize)]) -> Vec<String> {
    let mut warnings = Vec::new();

    let odd: Vec<String> = counts
        .iter()
        .filter(|(_, n_records)| *n_records != N_OFFICIAL_RECORDS)
        .map(|(name, n_records)| format!("{name} {n_records}"))
        .collect();
    if !odd.is_empty() {
        warnings.push(format!(
            "not the published CIFAR-10, whose files hold {N_OFFICIAL_RECORDS} images each: {}",
            odd.join(", ")
        ));
    }

    let names: Vec<&str> = counts.iter().map(|(name, _)| name.as_str()).collect();
    let names = &names[..names.len() - 1]; // The last file is the test file.
    let official = (1..=N_OFFICIAL_TRAINING_FILES).map(|i| format!("data_batch_{i}.bin"));
    if !official.eq(names.iter().copied()) {
        warnings.push(format!(
            "not the published CIFAR-10, whose training files are data_batch_1.bin to \
             data_batch_{N_OFFICIAL_TRAINING_FILES}.bin: {}",
            names.join(", ")
        ));
    }
    warnings
}
