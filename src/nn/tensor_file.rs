//! Safetensors files of a network's state: named tensors in PyTorch's shapes and layouts.
//!
//! A file of [`Weights`](super::Weights) has this format; a checkpoint has more tensors. Only this module converts
//! names, shapes and the order of elements.

use std::collections::BTreeMap;

use half::{bf16, f16};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use crate::tape::{StateEntry, StateLayout};

/// The prefix of the names of tensors that are part of a checkpoint, but not of the network.
pub(crate) const TRAINING: &str = "training.";

/// The prefix of the moving averages in a checkpoint: the average of a parameter has this prefix and then the
/// parameter's name.
pub(crate) const AVERAGES: &str = "training.averaged_parameters.";

/// The entry of the metadata that Hugging Face's loaders require of a file for PyTorch. Every file of weights has it.
pub(crate) const OF_PYTORCH: (&str, &str) = ("format", "pt");

/// Collects tensors, and makes a file of them.
#[derive(Default)]
pub(crate) struct Writer {
    tensors: BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>,
}

impl Writer {
    /// Adds a tensor of any type; `bytes` are its elements, little-endian, in row-major order.
    pub(crate) fn tensor(&mut self, name: String, dtype: Dtype, shape: Vec<usize>, bytes: Vec<u8>) {
        self.tensors.insert(name, (dtype, shape, bytes));
    }

    /// Returns true if the file has no tensor yet.
    pub(crate) fn is_empty(&self) -> bool {
        self.tensors.is_empty()
    }

    /// Adds a tensor of f32.
    pub(crate) fn f32(&mut self, name: String, shape: Vec<usize>, values: &[f32]) {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.tensors.insert(name, (Dtype::F32, shape, bytes));
    }

    /// Adds a tensor of type u32 with one axis.
    #[cfg(feature = "runs")]
    pub(crate) fn u32(&mut self, name: String, values: &[u32]) {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.tensors.insert(name, (Dtype::U32, vec![values.len()], bytes));
    }

    /// Adds a scalar of type i64, with shape `[]`.
    pub(crate) fn i64(&mut self, name: String, value: i64) {
        self.tensors.insert(name, (Dtype::I64, Vec::new(), value.to_le_bytes().to_vec()));
    }

    /// Adds every member (parameter or statistic) of a flat buffer, under the name `prefix` plus the member's name.
    pub(crate) fn members(&mut self, prefix: &str, members: &[StateEntry], buffer: &[f32]) {
        for member in members {
            let (shape, values) = in_torch(member, buffer);
            self.f32(format!("{prefix}{}", member.name), shape, &values);
        }
    }

    /// Returns the name and the bytes of each tensor.
    #[cfg(feature = "runs")]
    pub(crate) fn bytes(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.tensors.iter().map(|(name, (_, _, bytes))| (name.as_str(), bytes.as_slice()))
    }

    /// Returns the file with these entries of metadata, in this order. Equal tensors and entries make equal bytes.
    pub(crate) fn finish(&self, metadata: &[(&str, &str)]) -> Vec<u8> {
        let views = self.tensors.iter().map(|(name, (dtype, shape, bytes))| {
            let view = TensorView::new(*dtype, shape.clone(), bytes);
            (name, view.expect("a tensor's bytes are made from its shape"))
        });
        let file = safetensors::serialize(views, None).expect("names and sizes are small");
        with_metadata(&file, metadata)
    }
}

/// Returns the shape of a member of a flat buffer, and its elements, as they are in PyTorch.
pub(crate) fn in_torch(member: &StateEntry, buffer: &[f32]) -> (Vec<usize>, Vec<f32>) {
    let shape = member.layout.torch_shape(&member.shape);
    (shape, member.layout.to_torch(&member.shape, &buffer[member.range()]))
}

/// Returns the safetensors file `file`, which has no metadata, with these entries of metadata.
///
/// The crate `safetensors` takes the entries as an unordered map, and their order would differ from process to process.
/// A file is `length of the header (u64), header (JSON, padded to eight bytes), data`. Offsets in the header count from
/// the beginning of the data.
fn with_metadata(file: &[u8], metadata: &[(&str, &str)]) -> Vec<u8> {
    let (length, rest) = file.split_first_chunk().expect("the length of the header");
    let (header, data) = rest.split_at(u64::from_le_bytes(*length) as usize);
    let header = std::str::from_utf8(header).expect("JSON").trim_end();
    let json = |text: &str| serde_json::to_string(text).expect("text");
    let entries = metadata.iter().map(|(key, value)| format!("{}:{}", json(key), json(value)));
    let entries = entries.collect::<Vec<_>>().join(",");
    let tensors = header.strip_prefix('{').expect("an object");
    let comma = if tensors == "}" { "" } else { "," };
    let mut header = format!("{{\"__metadata__\":{{{entries}}}{comma}{tensors}");
    let padded = header.len().next_multiple_of(8);
    header.extend(std::iter::repeat_n(' ', padded - header.len()));
    [&(padded as u64).to_le_bytes()[..], header.as_bytes(), data].concat()
}

/// Reads the tensors of a file. The reader has the tensors that were not read yet, and the problems of the tensors that
/// were read.
pub(crate) struct Reader<'a> {
    tensors: BTreeMap<String, TensorView<'a>>,
    /// Beginnings of the names of parameters and statistics that are not read; see [`Reader::leave_out`].
    left_out: Vec<String>,
    problems: Problems,
    notes: Notes,
}

/// The tensors that do not fit a network, one line per tensor.
#[derive(Default)]
pub(crate) struct Problems {
    /// Tensors that are in the file, but have a wrong shape or type, a number that is too large for f32, or a second
    /// entry.
    wrong: Vec<String>,
    /// Tensors of the network that are not in the file.
    missing: Vec<String>,
    /// Tensors of the file that are not in the network.
    unused: Vec<String>,
}

/// The changes that the reader made to names and types. Commands print them.
#[derive(Default)]
struct Notes {
    /// For each prefix that was removed from names: the number of tensors with this prefix.
    prefixes: BTreeMap<String, usize>,
    /// For each type that was converted to f32: the number of tensors of this type.
    types: BTreeMap<String, usize>,
    /// Tensors that the reader ignored because no computation reads them: `n_averaged`, and counts of batches whose
    /// type or shape differs from PyTorch's.
    ignored: Vec<String>,
}

/// Prefixes that wrappers of a PyTorch module add to the names of its tensors: `DataParallel`,
/// `DistributedDataParallel` and `AveragedModel` add the first, `torch.compile` adds the second.
const WRAPPERS: [&str; 2] = ["module.", "_orig_mod."];

/// The name of the count of averaged models in a file of PyTorch's `AveragedModel`. No computation reads this count.
const N_AVERAGED: &str = "n_averaged";

/// Returns the name of a tensor without the prefixes of wrappers.
pub(crate) fn without_wrappers(mut name: &str) -> &str {
    while let Some(inner) = WRAPPERS.iter().find_map(|wrapper| name.strip_prefix(wrapper)) {
        name = inner;
    }
    name
}

impl<'a> Reader<'a> {
    /// Returns a reader of all tensors of a file, under their names in the file.
    pub(crate) fn new(file: &SafeTensors<'a>) -> Self {
        let tensors = file.tensors().into_iter().collect();
        let left_out = Vec::new();
        Self { tensors, left_out, problems: Problems::default(), notes: Notes::default() }
    }

    /// Returns a reader of all tensors of a file of weights. PyTorch may have written the file, so the reader removes
    /// the prefixes of wrappers from the names.
    pub(crate) fn of_weights(file: &SafeTensors<'a>) -> Self {
        let mut reader = Self::new(file);
        for (name, tensor) in std::mem::take(&mut reader.tensors) {
            let inner = without_wrappers(&name);
            if inner.len() < name.len() {
                let prefix = name[..name.len() - inner.len()].to_string();
                *reader.notes.prefixes.entry(prefix).or_default() += 1;
            }
            if inner == N_AVERAGED {
                reader.notes.ignored.push(name);
            } else if reader.tensors.insert(inner.to_string(), tensor).is_some() {
                let twice = format!(
                    "{inner}: the file has it twice, with different prefixes of {WRAPPERS:?}"
                );
                reader.problems.wrong.push(twice);
            }
        }
        reader
    }

    /// Leaves out the tensors whose names begin with `prefix`: neither their presence nor their absence is a problem, and
    /// [`Reader::members`] returns zeros for them.
    pub(crate) fn leave_out(&mut self, prefix: &str) {
        self.tensors.retain(|name, _| !name.starts_with(prefix));
        self.left_out.push(prefix.to_string());
    }

    /// Returns true if a tensor that was not read yet has a name with this prefix.
    pub(crate) fn has(&self, prefix: &str) -> bool {
        self.tensors.keys().any(|name| name.starts_with(prefix))
    }

    /// Returns a flat buffer of `n_elements`, filled from the tensors named `prefix` plus the member's name.
    pub(crate) fn members(
        &mut self,
        prefix: &str,
        members: &[StateEntry],
        n_elements: usize,
    ) -> Vec<f32> {
        let mut buffer = vec![0.0; n_elements];
        for member in members {
            if self.left_out.iter().any(|prefix| member.name.starts_with(prefix)) {
                continue;
            }
            let shape = member.layout.torch_shape(&member.shape);
            if let Some(values) = self.f32(&format!("{prefix}{}", member.name), &shape) {
                let values = member.layout.from_torch(&member.shape, &values);
                buffer[member.range()].copy_from_slice(&values);
            }
        }
        buffer
    }

    /// Returns the elements of the tensor `name` as f32. F16, BF16 and F64 are rounded to the nearest f32. If the
    /// tensor is missing, or has another type or shape, adds a problem and returns None.
    pub(crate) fn f32(&mut self, name: &str, shape: &[usize]) -> Option<Vec<f32>> {
        let tensor = self.tensor(name, shape)?;
        let Some(values) = to_f32(&tensor) else {
            self.refuse_type(name, tensor.dtype(), "F32, F16, BF16 or F64");
            return None;
        };
        if tensor.dtype() == Dtype::F64
            && let Some(value) = too_large(&tensor)
        {
            self.problems.wrong.push(format!("{name}: {value:e} is too large for F32"));
            return None;
        }
        if tensor.dtype() != Dtype::F32 {
            *self.notes.types.entry(tensor.dtype().to_string()).or_default() += 1;
        }
        Some(values)
    }

    /// Returns the elements of a tensor of type u32 with one axis of size `length`. If the tensor is missing or
    /// different, adds a problem and returns None.
    #[cfg(feature = "runs")]
    pub(crate) fn u32(&mut self, name: &str, length: usize) -> Option<Vec<u32>> {
        let tensor = self.tensor(name, &[length])?;
        if tensor.dtype() != Dtype::U32 {
            self.refuse_type(name, tensor.dtype(), "U32");
            return None;
        }
        let (words, _) = tensor.data().as_chunks();
        Some(words.iter().map(|&word| u32::from_le_bytes(word)).collect())
    }

    /// Returns a scalar of type i64; None if the tensor is missing, or has another type or shape. Neither is an error,
    /// because no computation reads the scalar.
    pub(crate) fn count(&mut self, name: String) -> Option<u64> {
        let tensor = self.tensors.remove(&name)?;
        if tensor.dtype() == Dtype::I64 && tensor.shape().is_empty() {
            return tensor.data().try_into().ok().map(u64::from_le_bytes);
        }
        self.notes.ignored.push(format!("{name} ({} of {:?})", tensor.dtype(), tensor.shape()));
        None
    }

    fn tensor(&mut self, name: &str, shape: &[usize]) -> Option<TensorView<'a>> {
        match self.tensors.remove(name) {
            None => self.problems.missing.push(format!("{name}: missing")),
            Some(tensor) if tensor.shape() != shape => {
                let found = tensor.shape();
                self.problems.wrong.push(format!("{name}: shape {found:?}, expected {shape:?}"));
            }
            found => return found,
        }
        None
    }

    fn refuse_type(&mut self, name: &str, found: Dtype, expected: &str) {
        self.problems.wrong.push(format!("{name}: {found}, expected {expected}"));
    }

    /// Returns one line of text for each kind of change that the reader made to names and types.
    pub(crate) fn notes(&self) -> Vec<String> {
        let Notes { prefixes, types, ignored } = &self.notes;
        let tensors = |n: usize| format!("{n} tensor{}", if n == 1 { "" } else { "s" });
        let prefixes = prefixes.iter().map(|(wrapper, &n)| {
            format!("removed the prefix {wrapper:?} from the names of {}", tensors(n))
        });
        let types =
            types.iter().map(|(name, &n)| format!("converted {} from {name} to F32", tensors(n)));
        let first = ignored.first().map(|first| match ignored.len() {
            1 => format!("ignored {first}"),
            n => format!("ignored {first} and {} more; no computation reads them", n - 1),
        });
        prefixes.chain(types).chain(first).collect()
    }

    /// Adds the tensors that were not read yet to another file, with the same bits. Returns the problems of their names.
    pub(crate) fn copy(self, file: &mut Writer) -> Problems {
        for (name, tensor) in self.tensors {
            file.tensor(name, tensor.dtype(), tensor.shape().to_vec(), tensor.data().to_vec());
        }
        self.problems
    }

    /// Returns the problems of the file's tensors. A tensor that was not read is a problem, unless its name has the
    /// prefix of checkpoints, [`TRAINING`].
    pub(crate) fn finish(mut self) -> Problems {
        let left = self.tensors.keys().filter(|name| !name.starts_with(TRAINING));
        self.problems.unused.extend(left.map(|name| format!("{name}: not a part of this network")));
        self.problems
    }
}

/// The largest number of tensors that an error message names, per kind of problem. In a file of another network, every
/// tensor has a problem.
const MAX_PROBLEMS: usize = 5;

impl Problems {
    /// Returns one line per problem, at most [`MAX_PROBLEMS`] of each kind, and the number of the problems that are
    /// left out.
    pub(crate) fn lines(mut self) -> Vec<String> {
        let mut lines = Vec::new();
        for kind in [&mut self.wrong, &mut self.missing, &mut self.unused] {
            let n_more = kind.len().saturating_sub(MAX_PROBLEMS);
            kind.truncate(MAX_PROBLEMS);
            lines.append(kind);
            if n_more > 0 {
                lines.push(format!("and {n_more} more like this"));
            }
        }
        lines
    }
}

/// Returns the first finite element of a tensor of f64 that is too large for f32.
fn too_large(tensor: &TensorView<'_>) -> Option<f64> {
    let elements = tensor.data().as_chunks().0.iter().map(|&element| f64::from_le_bytes(element));
    elements.into_iter().find(|value| value.is_finite() && (*value as f32).is_infinite())
}

/// Returns the elements of a tensor as f32, rounded to the nearest; None for types of integers and types of eight bits
/// or fewer.
fn to_f32(tensor: &TensorView<'_>) -> Option<Vec<f32>> {
    fn map<const N: usize>(bytes: &[u8], convert: impl Fn([u8; N]) -> f32) -> Vec<f32> {
        bytes.as_chunks().0.iter().map(|&element| convert(element)).collect()
    }
    let bytes = tensor.data();
    Some(match tensor.dtype() {
        Dtype::F32 => map(bytes, f32::from_le_bytes),
        Dtype::F16 => map(bytes, |element| f16::from_le_bytes(element).to_f32()),
        Dtype::BF16 => map(bytes, |element| bf16::from_le_bytes(element).to_f32()),
        Dtype::F64 => map(bytes, |element| f64::from_le_bytes(element) as f32),
        _ => return None,
    })
}

/// Returns true if a tensor with this name in a file is a parameter or a running statistic, and false if it is a count
/// of batches or belongs to the training state of a checkpoint.
pub(crate) fn is_member(name: &str) -> bool {
    !name.starts_with(TRAINING) && !name.ends_with(".num_batches_tracked") && name != N_AVERAGED
}

/// Returns the name of PyTorch's count of batches, `num_batches_tracked`, for each batch norm of the network.
pub(crate) fn batch_counts(layout: &StateLayout) -> impl Iterator<Item = String> {
    let layers =
        layout.running_statistics.iter().filter_map(|m| m.name.strip_suffix(".running_mean"));
    layers.map(|layer| format!("{layer}.num_batches_tracked"))
}
