//! The format of the Python version of both CIFAR datasets: a pickled dictionary in each file.
//!
//! ```text
//! data                          numpy's array of u8, [N, 3072]: the planes of each image, as in the binary version
//! labels                        CIFAR-10: a list of N labels
//! fine_labels, coarse_labels    CIFAR-100: two lists of N labels
//! ```
//!
//! Python 2 has pickled the published files. Newer versions of Python and numpy write other instructions for the same
//! array; these are read too.

use std::borrow::Cow;
use std::path::Path;

use super::Split;
use super::error::DataError;
use super::folder;
use crate::base::pickle::{Item, Name, Pickle, Value};

/// Appends the images in `bytes`, the contents of a file, to a split. Returns their number. `path` is the file's name
/// in errors, and `labels` the key of the labels.
///
/// # Errors
/// If the file is empty or damaged, has more than arrays and plain data, or a label that is not a class.
pub fn append(
    path: &Path,
    bytes: &[u8],
    labels: &str,
    n_classes: usize,
    split: &mut Split,
) -> Result<usize, DataError> {
    if bytes.is_empty() {
        return Err(DataError::Empty { path: path.to_path_buf() });
    }
    let images = read(bytes).and_then(|pickle| {
        let root = pickle.root();
        let found = root.get(labels).and_then(Item::elements);
        let found = found.ok_or_else(|| format!("has no list {labels:?} in its dictionary"))?;
        let n = found.len();
        let is_class = |label: &usize| *label < n_classes;
        for (image, label) in found.enumerate() {
            let label = label.size().filter(is_class).ok_or_else(|| {
                format!(
                    "is damaged: image {image} (counted from 0) has a label that is not 0 to {}",
                    n_classes - 1
                )
            })?;
            split.labels.push(label as u16);
        }
        let data = root.get("data").ok_or("has no entry \"data\" in its dictionary")?;
        let data = array(data, [n, split.size.n_bytes()])?;
        split.images.to_mut().extend_from_slice(&data);
        Ok(n)
    });
    images.map_err(|reason| DataError::Format { path: path.to_path_buf(), reason })
}

/// Reads the class names in a file, the list `key` of a pickled dictionary. Returns the names `published` if the file is
/// missing.
///
/// # Errors
/// If the file is damaged, or has another number of names.
pub(super) fn class_names(
    path: &Path,
    key: &str,
    published: &[&str],
) -> Result<Vec<String>, DataError> {
    if !path.exists() {
        return Ok(folder::owned(published));
    }
    let bytes = folder::read_file(path)?;
    let names = read(&bytes).and_then(|pickle| {
        let names = pickle.root().get(key).and_then(Item::elements);
        let names = names.map(|names| names.map(|name| name.text().map(String::from)).collect());
        names.flatten().ok_or_else(|| format!("has no list of names {key:?} in its dictionary"))
    });
    let refused = |reason| DataError::Format { path: path.to_path_buf(), reason };
    folder::checked_names(path, names.map_err(refused)?, published)
}

fn read(bytes: &[u8]) -> Result<Pickle<'_>, String> {
    let pickle = Pickle::read(bytes, |name| KNOWN.contains(&name));
    pickle.map(|(pickle, _)| pickle).map_err(|error| format!("is not a file of CIFAR: {error}"))
}

/// The objects of numpy that a pickled array refers to. numpy 2 has renamed its module `core`.
const KNOWN: [Name<'static>; 6] = [
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("numpy.core.multiarray", RECONSTRUCT),
    ("numpy._core.multiarray", RECONSTRUCT),
    ("numpy.core.numeric", FROM_BUFFER),
    ("numpy._core.numeric", FROM_BUFFER),
];

/// The function that makes an empty array. Its state is `(version, shape, type, is Fortran order, bytes)`.
const RECONSTRUCT: &str = "_reconstruct";

/// The function that makes an array of bytes: `(bytes, type, shape, order)`. Protocol 5 uses it.
const FROM_BUFFER: &str = "_frombuffer";

/// Returns the elements of an array of u8 with `n` rows of `n_columns` elements, in row-major order. The axes of a row
/// may be more than one.
///
/// # Errors
/// The reason, as the end of a sentence about the file.
fn array<'p>(item: Item<'p, '_>, [n, n_columns]: [usize; 2]) -> Result<Cow<'p, [u8]>, String> {
    let damaged = || "has an entry \"data\" that is not an array of numpy".to_string();
    let ((_, function), arguments) = item.call().ok_or_else(damaged)?;
    let (shape, dtype, is_fortran, bytes) = match function {
        RECONSTRUCT => {
            let [_, shape, dtype, is_fortran, bytes] =
                item.state().and_then(Item::first).ok_or_else(damaged)?;
            (shape, dtype, *is_fortran.value() == Value::Bool(true), bytes)
        }
        FROM_BUFFER => {
            let [bytes, dtype, shape, order] = arguments.first().ok_or_else(damaged)?;
            (shape, dtype, order.text() == Some("F"), bytes)
        }
        _ => return Err(damaged()),
    };
    let dtype = dtype.call().filter(|(name, _)| *name == ("numpy", "dtype"));
    let dtype = dtype.and_then(|(_, arguments)| arguments.first()).and_then(|[name]| name.text());
    if dtype != Some("u1") {
        return Err(format!("has images of type {}, not u1", dtype.unwrap_or("unknown")));
    }
    let bytes = bytes.bytes().ok_or_else(damaged)?;
    let rows = shape.first().and_then(|[rows]| rows.size());
    if rows != Some(n) || n.checked_mul(n_columns) != Some(bytes.len()) {
        let (rows, n_bytes) = (rows.unwrap_or(0), bytes.len());
        return Err(format!(
            "is damaged: it has {n} labels, and an array of {rows} rows and {n_bytes} bytes; a row has {n_columns}"
        ));
    }
    if !is_fortran {
        return Ok(bytes.into());
    }
    if shape.elements().is_none_or(|shape| shape.len() != 2) {
        return Err("has an array in Fortran's order of other than two axes".to_string());
    }
    let rows = (0..n).flat_map(|row| bytes.iter().skip(row).step_by(n).copied());
    Ok(rows.collect())
}
