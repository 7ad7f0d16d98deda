//! Weights, the numbers that training changes, and their conversion from and to the bytes of a file.
//!
//! A file is safetensors with PyTorch's names, shapes and layouts. In PyTorch, `safetensors.torch.load_file` reads the
//! file, and `load_state_dict` takes the result unchanged. Files that PyTorch wrote can be loaded here.
//! `tensor_file.rs` converts names and the order of elements.

use std::path::Path;

use super::{ModelInfo, tensor_file};
use crate::base::files::{self, FileError};
use crate::tape::{StateBuffer, StateLayout};

/// A network's parameters and running statistics, in the flat buffers of a session. The [`StateLayout`] has the place
/// of each member.
#[derive(Clone, PartialEq, Debug)]
pub struct Weights {
    /// Contents of [`StateBuffer::Parameters`], padding included.
    pub parameters: Vec<f32>,
    /// Contents of [`StateBuffer::RunningStatistics`], padding included.
    pub running_statistics: Vec<f32>,
    /// Number of batches that the running statistics have averaged. No computation reads this number. In a file, it is
    /// `num_batches_tracked` of every batch norm.
    pub n_batches: u64,
}

impl Weights {
    /// Writes the weights to a file. If `info` is given, the file has this record of the training data. A failure
    /// leaves no partial file.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save(
        &self,
        layout: &StateLayout,
        info: Option<&ModelInfo>,
        path: &Path,
    ) -> Result<(), FileError> {
        files::write_whole(path, &self.to_safetensors(layout, info))
    }

    /// Returns the bytes of the file that [`Weights::save`] writes.
    pub fn to_safetensors(&self, layout: &StateLayout, info: Option<&ModelInfo>) -> Vec<u8> {
        let mut file = tensor_file::Writer::default();
        self.write(layout, &mut file);
        match info.map(ModelInfo::to_json) {
            None => file.finish(&[tensor_file::OF_PYTORCH]),
            Some(info) => file.finish(&[tensor_file::OF_PYTORCH, (ModelInfo::KEY, &info)]),
        }
    }

    /// Adds the tensors of the weights to a file.
    pub(crate) fn write(&self, layout: &StateLayout, file: &mut tensor_file::Writer) {
        file.members("", &layout.parameters, &self.parameters);
        file.members("", &layout.running_statistics, &self.running_statistics);
        for name in tensor_file::batch_counts(layout) {
            file.i64(name, self.n_batches.cast_signed());
        }
    }

    /// Reads the tensors of the weights from a file.
    pub(crate) fn read(layout: &StateLayout, file: &mut tensor_file::Reader<'_>) -> Self {
        let mut fill = |buffer| file.members("", layout.members(buffer), layout.n_elements(buffer));
        let (parameters, running_statistics) =
            (fill(StateBuffer::Parameters), fill(StateBuffer::RunningStatistics));
        // No computation reads the counts of batches (`num_batches_tracked`), so a file without them is valid.
        let counts = tensor_file::batch_counts(layout).filter_map(|name| file.count(name));
        let n_batches = counts.max().unwrap_or(0);
        Self { parameters, running_statistics, n_batches }
    }

    /// Checks that every element is finite, and that no variance is negative.
    ///
    /// # Errors
    /// A text about the first wrong element, with PyTorch's name of the tensor and PyTorch's index of the element.
    pub(super) fn check_values(&self, layout: &StateLayout) -> Result<(), String> {
        let parameters = layout.parameters.iter().map(|member| (member, &self.parameters));
        let statistics =
            layout.running_statistics.iter().map(|member| (member, &self.running_statistics));
        for (member, buffer) in parameters.chain(statistics) {
            let values = member.layout.to_torch(&member.shape, &buffer[member.range()]);
            let is_variance = member.name.ends_with(".running_var");
            let is_wrong = |value: &f32| !value.is_finite() || (is_variance && *value < 0.0);
            let Some(at) = values.iter().position(is_wrong) else { continue };
            let index = index_of(at, &member.layout.torch_shape(&member.shape));
            let (name, value) = (&member.name, values[at]);
            let problem = match value.is_finite() {
                true => "a variance must not be negative",
                false => "a weight must be finite",
            };
            return Err(format!("{name}: element {index:?} is {value}; {problem}"));
        }
        Ok(())
    }
}

/// Returns the index along each axis of element number `at` of a row-major tensor.
fn index_of(mut at: usize, shape: &[usize]) -> Vec<usize> {
    let mut index: Vec<usize> = shape.iter().rev().map(|&n| (at % n, at /= n).0).collect();
    index.reverse();
    index
}
