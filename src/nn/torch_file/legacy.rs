//! The format of `torch.save` before PyTorch 1.6, and later with `_use_new_zipfile_serialization=False`.
//!
//! ```text
//! pickles    the magic number, the version of the format, a description of the machine, the tensors,
//!            the list of the storages' keys
//! storages   for each key: the number of elements (i64), then the elements
//! ```

use std::collections::HashMap;

use super::file::{File, Reference};
use super::read_pickle;
use crate::base::pickle::{Pickle, Value};

const MAGIC_NUMBER: i128 = 0x1950_a86a_20f9_469c_fc6c;
const VERSION: i128 = 1001;

/// Takes a file apart.
pub(super) fn read(bytes: &[u8]) -> Result<File<'_>, String> {
    let (magic, rest) = plain(bytes)?;
    if magic.root().int() != Some(MAGIC_NUMBER) {
        return Err("a pickle without torch's magic number".to_string());
    }
    let (version, rest) = plain(rest)?;
    if version.root().int() != Some(VERSION) {
        return Err(format!("its version of the format is not {VERSION}"));
    }
    let (machine, rest) = plain(rest)?;
    let is_little = machine.root().get("little_endian").map(|is_little| is_little.value());
    match is_little {
        Some(Value::Bool(true)) => {}
        Some(Value::Bool(false)) => {
            return Err("its tensors are big-endian; save them on another machine".to_string());
        }
        _ => return Err("its description of the machine is damaged".to_string()),
    }
    let (pickle, rest) = read_pickle(rest).map_err(|error| error.to_string())?;
    let storages = storages(&pickle, rest)?;
    Ok(File { pickle, storages })
}

/// Reads a pickle without tensors.
fn plain(bytes: &[u8]) -> Result<(Pickle<'_>, &[u8]), String> {
    Pickle::read(bytes, |_| false).map_err(|error| error.to_string())
}

/// Returns the bytes of each storage by its key. The pickle's references have the type of the storages' elements.
fn storages<'a>(pickle: &Pickle<'a>, bytes: &'a [u8]) -> Result<HashMap<String, &'a [u8]>, String> {
    let references = pickle.items().filter_map(Reference::of);
    let sizes: HashMap<&str, usize> =
        references.map(|reference| (reference.key, reference.dtype.bitsize() / 8)).collect();
    let (keys, mut rest) = plain(bytes)?;
    let keys =
        keys.root().elements().ok_or("its list of storages is damaged")?.map(|key| key.text());
    let mut storages = HashMap::new();
    for key in keys {
        let key = key.ok_or("its list of storages is damaged")?;
        let size = *sizes.get(key).ok_or_else(|| format!("no tensor refers to storage {key:?}"))?;
        let truncated = || format!("the file ends in storage {key:?}");
        let (n_elements, behind) = rest.split_first_chunk().ok_or_else(truncated)?;
        let n_bytes = usize::try_from(i64::from_le_bytes(*n_elements));
        let n_bytes = n_bytes.ok().and_then(|n_elements| n_elements.checked_mul(size));
        let split = n_bytes.and_then(|n_bytes| behind.split_at_checked(n_bytes));
        let (storage, behind) = split.ok_or_else(truncated)?;
        if storages.insert(key.to_string(), storage).is_some() {
            return Err(format!("the file has storage {key:?} twice"));
        }
        rest = behind;
    }
    Ok(storages)
}
