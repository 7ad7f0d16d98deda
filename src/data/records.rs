//! The format of the image files of both CIFAR datasets: records of one or two label bytes and then the bytes of an
//! image.

use std::path::Path;

use super::Split;
use super::error::DataError;

/// The layout of a record: the label bytes, then the image.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// The number of label bytes, which come before the image.
    pub n_label_bytes: usize,
    /// The index of the label byte that is read, from 0.
    pub label_ix: usize,
    /// The number of classes.
    pub n_classes: usize,
}

/// Appends the records in `bytes`, the contents of a file, to a split. Returns the number of records. `path` is the
/// file's name in errors.
///
/// # Errors
/// If the file is empty, ends inside a record, or has a label that is not a class.
pub fn append(
    path: &Path,
    bytes: &[u8],
    layout: Layout,
    split: &mut Split,
) -> Result<usize, DataError> {
    let path = || path.to_path_buf();
    let record_bytes = layout.n_label_bytes + split.size.n_bytes();
    if bytes.is_empty() {
        return Err(DataError::Empty { path: path() });
    }
    let records = bytes.chunks_exact(record_bytes);
    let (n, rest) = (records.len(), records.remainder());
    if !rest.is_empty() {
        let (offset, n_bytes) = (n * record_bytes, rest.len());
        return Err(DataError::Truncated {
            path: path(),
            record: n,
            offset,
            n_bytes,
            record_bytes,
        });
    }
    split.images.to_mut().reserve(n * split.size.n_bytes());
    split.labels.reserve(n);
    for (record, bytes) in records.enumerate() {
        let label = bytes[layout.label_ix];
        if usize::from(label) >= layout.n_classes {
            let (offset, n_classes) = (record * record_bytes, layout.n_classes);
            return Err(DataError::Label { path: path(), record, offset, label, n_classes });
        }
        split.labels.push(label.into());
        split.images.to_mut().extend_from_slice(&bytes[layout.n_label_bytes..]);
    }
    Ok(n)
}
