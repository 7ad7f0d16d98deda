//! Reads the files of `torch.save` (`.pt`, `.pth`, `.th`) as named tensors, and runs no code of theirs.
//!
//! A file has a pickle, which describes the tensors, and storages, which are the bytes of the tensors:
//!
//! ```text
//! since PyTorch 1.6    a zip archive: FOLDER/data.pkl, FOLDER/byteorder, FOLDER/data/0, FOLDER/data/1, ...
//! before               pickles of a magic number, a version, the machine, the tensors and the storages' keys; then the
//!                      storages
//! ```
//!
//! `archive.rs` reads the first kind and `legacy.rs` the second. `tensor.rs` makes a tensor of a storage, sizes and
//! strides. The result is a safetensors file in memory, so the other readers of weights have one format.

use safetensors::Dtype;

use super::tensor_file::{OF_PYTORCH, Writer};
use crate::base::pickle::{Item, Name, Pickle, PickleError};
use file::File;

mod archive;
mod file;
mod legacy;
mod tensor;
#[cfg(test)]
mod tests;

/// The entries of a checkpoint that hold the model's state dict, in the order in which they are looked up.
const STATE_DICTS: [&str; 4] = ["state_dict", "model_state_dict", "model", "net"];

/// The largest size of all tensors together, as a multiple of the file's size. Tensors may share a storage, and
/// safetensors writes the storage once for each of them.
const MAX_GROWTH: usize = 16;

/// The largest header of a safetensors file, in bytes.
const MAX_HEADER: usize = 100_000_000;

/// A file of `torch.save`, converted.
pub(super) struct Converted {
    /// The tensors as a safetensors file.
    pub(super) safetensors: Vec<u8>,
    /// A line of text for each part of the file that was selected or left out.
    pub(super) notes: Vec<String>,
}

/// Returns true if a file may be one of `torch.save`: a zip archive, or a pickle of protocol 2 or later. A safetensors
/// file may begin with the same bytes.
pub(super) fn may_be(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK") || bytes.starts_with(&[0x80])
}

/// Converts a file to safetensors. The types and bits of the elements stay.
///
/// # Errors
/// A text with the problem, if the file is damaged, has another format or refers to a Python object that is neither
/// plain data nor a tensor.
pub(super) fn convert(bytes: &[u8]) -> Result<Converted, String> {
    let file = match bytes.starts_with(b"PK") {
        true => archive::read(bytes)?,
        false => legacy::read(bytes)?,
    };
    let root = file.pickle.root();
    let mut notes = Vec::new();
    let inner = |key: &&str| root.get(key).filter(|inner| inner.entries().is_some());
    let selected = STATE_DICTS.iter().find_map(|key| Some((key, inner(key)?)));
    if let Some((key, _)) = selected {
        notes.push(format!("read the tensors of the entry {key:?}"));
    }
    let state_dict = selected.map_or(root, |(_, inner)| inner);
    let (writer, others) = tensors(&file, state_dict, bytes.len().saturating_mul(MAX_GROWTH))?;
    notes.extend(others.first().map(|first| match others.len() {
        1 => format!("ignored the entry {first:?}, which is no tensor"),
        n => format!("ignored the entry {first:?} and {} more, which are no tensors", n - 1),
    }));
    Ok(Converted { safetensors: writer.finish(&[OF_PYTORCH]), notes })
}

/// Returns the tensors of a state dict, and the names of its other entries. All tensors together have at most
/// `max_bytes` bytes.
fn tensors<'p>(
    file: &'p File<'_>,
    state_dict: Item<'p, '_>,
    max_bytes: usize,
) -> Result<(Writer, Vec<&'p str>), String> {
    let entries = state_dict.entries().ok_or("its value is no dictionary of tensors")?;
    let (mut writer, mut others) = (Writer::default(), Vec::new());
    let (mut n_left, mut n_header) = (max_bytes, 0);
    for [key, value] in entries {
        let name = key.text().unwrap_or("(no text)");
        let Some(arguments) = tensor::arguments(value).filter(|_| key.text().is_some()) else {
            others.push(name);
            continue;
        };
        let tensor = tensor::read(arguments, file, n_left).map_err(|e| format!("{name}: {e}"))?;
        n_left -= tensor.bytes.len();
        // A character takes at most six bytes in JSON, a size at most twenty digits and a comma, and the rest of an
        // entry fewer than 120 bytes.
        n_header += 6 * name.len() + 21 * tensor.shape.len() + 120;
        if n_header > MAX_HEADER {
            return Err("its tensors have too many names and sizes".to_string());
        }
        writer.tensor(name.to_string(), tensor.dtype, tensor.shape, tensor.bytes);
    }
    if writer.is_empty() {
        let some: Vec<_> = others.iter().take(8).map(|name| format!("{name:?}")).collect();
        return Err(format!("its dictionary has no tensors; its entries are {}", some.join(", ")));
    }
    Ok((writer, others))
}

/// Returns the type of the elements of a storage, by the name of the storage's class; None for other names, and for
/// types that safetensors lacks.
fn dtype(name: Name<'_>) -> Option<Dtype> {
    let ("torch" | "torch.cuda", class) = name else { return None };
    Some(match class.strip_suffix("Storage")? {
        "Bool" => Dtype::BOOL,
        "Byte" => Dtype::U8,
        "Char" => Dtype::I8,
        "Short" => Dtype::I16,
        "Half" => Dtype::F16,
        "BFloat16" => Dtype::BF16,
        "Int" => Dtype::I32,
        "Float" => Dtype::F32,
        "ComplexFloat" => Dtype::C64,
        "Long" => Dtype::I64,
        "Double" => Dtype::F64,
        _ => return None,
    })
}

/// Reads a pickle that describes tensors. Returns it with the bytes behind it.
fn read_pickle(bytes: &[u8]) -> Result<(Pickle<'_>, &[u8]), PickleError> {
    let is_known = |name: Name<'_>| dtype(name).is_some() || tensor::FUNCTIONS.contains(&name);
    Pickle::read(bytes, is_known)
}
