//! The storages of a file, and the pickle's references to them.

use std::collections::HashMap;

use safetensors::Dtype;

use crate::base::pickle::{Item, Pickle, Value};

/// A file, taken apart.
pub(super) struct File<'a> {
    /// The pickle that describes the tensors.
    pub(super) pickle: Pickle<'a>,
    /// The bytes of each storage by its key, little-endian.
    pub(super) storages: HashMap<String, &'a [u8]>,
}

/// The elements of a tensor before sizes and strides arrange them.
pub(super) struct Storage<'a> {
    /// The type of an element.
    pub(super) dtype: Dtype,
    /// The bytes, a whole number of elements.
    pub(super) bytes: &'a [u8],
}

/// The pickle's reference to a storage: `('storage', class, key, device, number of elements)`. Files before PyTorch 1.6
/// have one more element, the part of the storage that is used: `None` or `(key, offset, number of elements)`.
pub(super) struct Reference<'p> {
    /// The type of an element.
    pub(super) dtype: Dtype,
    /// The key of the storage.
    pub(super) key: &'p str,
    /// The number of elements of the whole storage.
    n_elements: usize,
    /// The offset and the number of the elements that are used; None for all.
    part: Option<[usize; 2]>,
}

impl<'p> Reference<'p> {
    /// Returns the reference that a value is; None if it is none, or a damaged one.
    pub(super) fn of(value: Item<'p, '_>) -> Option<Self> {
        let tuple = value.persistent()?;
        let [kind, class, key, _, n_elements] = tuple.first()?;
        let Value::Global(class) = class.value() else { return None };
        let part = match tuple.first::<6>() {
            Some([.., part]) if *part.value() != Value::None => {
                let [_, offset, n_elements] = part.first()?;
                Some([offset.size()?, n_elements.size()?])
            }
            _ => None,
        };
        let reference = Self {
            dtype: super::dtype(*class)?,
            key: key.text()?,
            n_elements: n_elements.size()?,
            part,
        };
        (kind.text() == Some("storage")).then_some(reference)
    }
}

impl<'a> File<'a> {
    /// Returns the storage of a reference.
    ///
    /// # Errors
    /// If the storage is missing, or has another number of bytes.
    pub(super) fn storage(&self, reference: &Reference<'_>) -> Result<Storage<'a>, String> {
        let &Reference { dtype, key, n_elements, part } = reference;
        let bytes = self.storages.get(key).ok_or_else(|| format!("storage {key:?} is missing"))?;
        let size = dtype.bitsize() / 8;
        if n_elements.checked_mul(size) != Some(bytes.len()) {
            let n_bytes = bytes.len();
            return Err(format!(
                "storage {key:?} has {n_bytes} bytes, and {n_elements} elements of {dtype} are expected"
            ));
        }
        let Some([offset, n]) = part else { return Ok(Storage { dtype, bytes }) };
        let end = offset.checked_add(n).filter(|&end| end <= n_elements);
        let end = end.ok_or_else(|| format!("storage {key:?} has no elements {offset} + {n}"))?;
        Ok(Storage { dtype, bytes: &bytes[offset * size..end * size] })
    }
}
