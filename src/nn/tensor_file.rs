//! Safetensors files of a network's state: named tensors in PyTorch's shapes and layouts.
//!
//! [`Weights`](super::Weights) are such a file, and so is a checkpoint, which has more tensors in it. Names,
//! shapes and orders are converted here and nowhere else.

use std::collections::{BTreeMap, HashMap};

use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use crate::tape::{Member, StateLayout};

/// Tensors with names that begin like this are a checkpoint's, and are none of the network's.
pub(crate) const TRAINING: &str = "training.";

/// The moving averages of the parameters, in a checkpoint: this, and the parameter's name.
pub(crate) const AVERAGES: &str = "training.averaged_parameters.";

/// A file in the making.
#[derive(Default)]
pub(crate) struct Writer {
    tensors: BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>,
}

impl Writer {
    /// Adds a tensor of f32.
    pub(crate) fn f32(&mut self, name: String, shape: Vec<usize>, values: &[f32]) {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.tensors.insert(name, (Dtype::F32, shape, bytes));
    }

    /// Adds a vector of u32.
    pub(crate) fn u32(&mut self, name: String, values: &[u32]) {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.tensors.insert(name, (Dtype::U32, vec![values.len()], bytes));
    }

    /// Adds a number, without axes, of type i64.
    pub(crate) fn i64(&mut self, name: String, value: i64) {
        self.tensors.insert(name, (Dtype::I64, Vec::new(), value.to_le_bytes().to_vec()));
    }

    /// Adds every member of a flat buffer, under `prefix` and its name.
    pub(crate) fn members(&mut self, prefix: &str, members: &[Member], buffer: &[f32]) {
        for member in members {
            let values = member.layout.to_torch(&member.shape, &buffer[member.range()]);
            let shape = member.layout.torch_shape(&member.shape);
            self.f32(format!("{prefix}{}", member.name), shape, &values);
        }
    }

    /// The bytes of each tensor, by name.
    pub(crate) fn bytes(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.tensors.iter().map(|(name, (_, _, bytes))| (name.as_str(), bytes.as_slice()))
    }

    /// The file, with one line of metadata. The same tensors are the same bits each time.
    pub(crate) fn finish(&self, key: &str, value: &str) -> Vec<u8> {
        let views = self.tensors.iter().map(|(name, (dtype, shape, bytes))| {
            let view = TensorView::new(*dtype, shape.clone(), bytes);
            (name, view.expect("a tensor's bytes are made from its shape"))
        });
        // One entry only: the crate keeps them in a map without an order.
        let metadata = HashMap::from([(key.to_string(), value.to_string())]);
        safetensors::serialize(views, Some(metadata)).expect("names and sizes are small")
    }
}

/// The tensors of a file that nobody has taken yet, and what was wrong with those that were.
pub(crate) struct Reader<'a> {
    tensors: BTreeMap<String, TensorView<'a>>,
    pub(crate) problems: Vec<String>,
}

impl<'a> Reader<'a> {
    /// All tensors of a file.
    pub(crate) fn new(file: &SafeTensors<'a>) -> Self {
        Self { tensors: file.tensors().into_iter().collect(), problems: Vec::new() }
    }

    /// Whether there are tensors whose names begin like this.
    pub(crate) fn has(&self, prefix: &str) -> bool {
        self.tensors.keys().any(|name| name.starts_with(prefix))
    }

    /// A flat buffer of `n_elements` from the tensors of its members, whose names begin with `prefix`.
    pub(crate) fn members(
        &mut self,
        prefix: &str,
        members: &[Member],
        n_elements: usize,
    ) -> Vec<f32> {
        let mut buffer = vec![0.0; n_elements];
        for member in members {
            let shape = member.layout.torch_shape(&member.shape);
            if let Some(values) = self.f32(&format!("{prefix}{}", member.name), &shape) {
                let values = member.layout.from_torch(&member.shape, &values);
                buffer[member.range()].copy_from_slice(&values);
            }
        }
        buffer
    }

    /// A tensor of f32 and that shape.
    pub(crate) fn f32(&mut self, name: &str, shape: &[usize]) -> Option<Vec<f32>> {
        let tensor = self.tensor(name, Dtype::F32, shape)?;
        let (words, _) = tensor.data().as_chunks();
        Some(words.iter().map(|&word| f32::from_le_bytes(word)).collect())
    }

    /// A vector of u32.
    pub(crate) fn u32(&mut self, name: &str, length: usize) -> Option<Vec<u32>> {
        let tensor = self.tensor(name, Dtype::U32, &[length])?;
        let (words, _) = tensor.data().as_chunks();
        Some(words.iter().map(|&word| u32::from_le_bytes(word)).collect())
    }

    /// A number without axes, if it is there.
    pub(crate) fn i64_if_there(&mut self, name: &str) -> Option<i64> {
        if !self.tensors.contains_key(name) {
            return None;
        }
        let tensor = self.tensor(name, Dtype::I64, &[])?;
        tensor.data().try_into().ok().map(i64::from_le_bytes)
    }

    fn tensor(&mut self, name: &str, dtype: Dtype, shape: &[usize]) -> Option<TensorView<'a>> {
        let problem = match self.tensors.remove(name) {
            None => "missing".to_string(),
            Some(tensor) if tensor.shape() != shape => {
                format!("shape {:?}, expected {shape:?}", tensor.shape())
            }
            Some(tensor) if tensor.dtype() != dtype => {
                let hint = "; convert it with .float() before saving";
                let hint = if dtype == Dtype::F32 { hint } else { "" };
                format!("{:?}, expected {dtype:?}{hint}", tensor.dtype())
            }
            Some(tensor) => return Some(tensor),
        };
        self.problems.push(format!("{name}: {problem}"));
        None
    }

    /// What was wrong, tensors that nobody has taken included; those of a checkpoint may be left.
    pub(crate) fn finish(mut self) -> Vec<String> {
        let left = self.tensors.keys().filter(|name| !name.starts_with(TRAINING));
        self.problems.extend(left.map(|name| format!("{name}: not a part of this network")));
        self.problems
    }
}

/// The names under which PyTorch counts batches: one for each batch norm.
pub(crate) fn batch_counts(layout: &StateLayout) -> impl Iterator<Item = String> {
    let layers = layout.statistics.iter().filter_map(|m| m.name.strip_suffix(".running_mean"));
    layers.map(|layer| format!("{layer}.num_batches_tracked"))
}
