//! Weights: what training changes, and the files that hold it.
//!
//! A file is safetensors with PyTorch's names, shapes and layouts: `safetensors.torch.load_file` gives
//! a dictionary that `load_state_dict` takes as it is, and files from there load here. How they
//! are named and ordered is [`tensor_file`]'s to say.

use std::fs;
use std::path::Path;

use safetensors::SafeTensors;

use super::tensor_file;
use crate::error::Error;
use crate::files;
use crate::tape::{Group, StateLayout};

/// A model's parameters and running statistics, as the flat buffers of a session hold them. Which
/// member lies where is the [`StateLayout`]'s to say.
#[derive(Clone, PartialEq, Debug)]
pub struct Weights {
    /// The contents of [`Group::Parameters`], padding included.
    pub parameters: Vec<f32>,
    /// The contents of [`Group::Statistics`], padding included.
    pub statistics: Vec<f32>,
    /// How many batches the running statistics have seen. Nothing here depends on it; PyTorch's files
    /// carry it, as `num_batches_tracked` of every batch norm.
    pub n_batches: u64,
}

impl Weights {
    /// Writes the file, whole or not at all.
    ///
    /// # Errors
    /// [`Error::Io`], naming the file.
    pub fn save(&self, layout: &StateLayout, path: &Path) -> Result<(), Error> {
        files::write_whole(path, &self.to_safetensors(layout))
    }

    /// Reads a file that holds the weights of a network with this layout.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be read; [`Error::Weights`] when it is no safetensors file, or
    /// does not fit, with everything that does not.
    pub fn load(layout: &StateLayout, path: &Path) -> Result<Self, Error> {
        let bytes = fs::read(path).map_err(Error::io(path))?;
        Self::from_safetensors(layout, &bytes)
            .map_err(|reason| Error::Weights { path: path.to_path_buf(), reason })
    }

    /// The width of the ResNet-9 that a file holds the weights of: the channels of its first layer.
    /// None for a file that is no such thing, of which loading it tells.
    pub fn width_of(path: &Path) -> Option<usize> {
        let bytes = fs::read(path).ok()?;
        width(&SafeTensors::deserialize(&bytes).ok()?)
    }

    pub(crate) fn to_safetensors(&self, layout: &StateLayout) -> Vec<u8> {
        let mut file = tensor_file::Writer::default();
        self.write(layout, &mut file);
        file.finish("format", "pt")
    }

    /// Adds the tensors to a file.
    pub(crate) fn write(&self, layout: &StateLayout, file: &mut tensor_file::Writer) {
        file.members("", &layout.parameters, &self.parameters);
        file.members("", &layout.statistics, &self.statistics);
        for name in tensor_file::batch_counts(layout) {
            file.i64(name, self.n_batches.cast_signed());
        }
    }

    /// Takes the tensors out of a file.
    pub(crate) fn read(layout: &StateLayout, file: &mut tensor_file::Reader<'_>) -> Self {
        let mut fill = |group| file.members("", layout.members(group), layout.n_elements(group));
        let (parameters, statistics) = (fill(Group::Parameters), fill(Group::Statistics));
        // Nothing depends on the counts, so a file may do without.
        let counts = tensor_file::batch_counts(layout);
        let counts = counts.filter_map(|name| file.i64_if_there(&name)).map(i64::cast_unsigned);
        Self { parameters, statistics, n_batches: counts.max().unwrap_or(0) }
    }

    /// Reads the bytes of a file; see [`Weights::load`].
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn from_safetensors(layout: &StateLayout, bytes: &[u8]) -> Result<Self, String> {
        if bytes.starts_with(b"PK") || bytes.starts_with(&[0x80]) {
            return Err("a file of torch.save, not safetensors; write it with \
                        safetensors.torch.save_file(model.state_dict(), ...)"
                .to_string());
        }
        let file = SafeTensors::deserialize(bytes)
            .map_err(|error| format!("not a safetensors file, or a damaged one ({error})"))?;
        let mut tensors = tensor_file::Reader::new(&file);
        let mut weights = Self::read(layout, &mut tensors);
        if tensors.has(tensor_file::AVERAGES) {
            // A checkpoint of a run that evaluates the average of its weights.
            let n_elements = layout.n_elements(Group::Parameters);
            weights.parameters =
                tensors.members(tensor_file::AVERAGES, &layout.parameters, n_elements);
        }
        let mut problems = tensors.finish();
        if problems.is_empty() {
            return Ok(weights);
        }
        let network = layout.find(FIRST_LAYER).and_then(|(_, first)| first.shape.last().copied());
        let widths = match (width(&file), network) {
            (Some(of_file), Some(of_network)) if of_file != of_network => {
                format!(": they are of width {of_file}, and it is of width {of_network}")
            }
            _ => String::new(),
        };
        let n_more = problems.len().saturating_sub(MAX_PROBLEMS);
        problems.truncate(MAX_PROBLEMS);
        if n_more > 0 {
            problems.push(format!("and {n_more} more"));
        }
        Err(format!("the weights do not fit the network{widths}\n  {}", problems.join("\n  ")))
    }
}

/// The tensor that tells a ResNet-9's width.
const FIRST_LAYER: &str = "prep.0.weight";

/// Tensors that do not fit are told of up to so many; of another width, all of them do not.
const MAX_PROBLEMS: usize = 5;

fn width(file: &SafeTensors<'_>) -> Option<usize> {
    file.tensor(FIRST_LAYER).ok()?.shape().first().copied()
}

#[cfg(test)]
mod tests {
    use safetensors::Dtype;
    use safetensors::tensor::TensorView;

    use super::*;
    use crate::tape::{Initializer, Layout};

    fn layout(width: usize) -> StateLayout {
        let mut layout = StateLayout::default();
        let start = Initializer::Uniform { fan_in: 27 };
        let conv = [3, 3, 3, width];
        layout.add(Group::Parameters, "0.weight", &conv, Layout::ConvWeight, start);
        for name in ["1.running_mean", "1.running_var"] {
            layout.add(Group::Statistics, name, &[width], Layout::Plain, start);
        }
        layout
    }

    #[test]
    fn a_file_gives_back_what_was_saved() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("model.safetensors");
        let (layout, n_batches) = (layout(5), 77);
        let weights = Weights { n_batches, ..Weights::initial(&layout, 3) };
        weights.save(&layout, &path).expect("it can be written");
        weights.save(&layout, &path).expect("it can be overwritten");
        assert_eq!(Weights::load(&layout, &path).expect("it fits"), weights);
        assert_eq!(fs::read_dir(folder.path()).expect("readable").count(), 1, "no other file");
    }

    #[test]
    fn tensors_are_pytorchs() {
        let layout = layout(5);
        let weights = Weights::initial(&layout, 3);
        let bytes = weights.to_safetensors(&layout);
        let file = SafeTensors::deserialize(&bytes).expect("what we wrote");
        assert_eq!(file.tensor("0.weight").expect("there").shape(), [5, 3, 3, 3]);
        let count = file.tensor("1.num_batches_tracked").expect("there");
        assert_eq!((count.dtype(), count.shape()), (Dtype::I64, &[][..]));
        assert_eq!(bytes, weights.to_safetensors(&layout), "the same bits each time");
    }

    #[test]
    fn everything_that_does_not_fit_is_told() {
        let bytes = Weights::initial(&layout(5), 3).to_safetensors(&layout(5));
        let mut other = layout(6);
        other.add(Group::Parameters, "fc", &[1], Layout::Plain, Initializer::Constant(0.0));
        other.statistics.remove(1);
        let error = Weights::from_safetensors(&other, &bytes).expect_err("it does not fit");
        for line in [
            "0.weight: shape [5, 3, 3, 3], expected [6, 3, 3, 3]",
            "fc: missing",
            "1.running_mean: shape [5], expected [6]",
            "1.running_var: not a part of this network",
        ] {
            assert!(error.contains(line), "{line:?} is not in {error:?}");
        }
    }

    #[test]
    fn other_types_and_other_files_are_refused() {
        let half = TensorView::new(Dtype::F16, vec![5, 3, 3, 3], &[0; 270]).expect("it is whole");
        let bytes = safetensors::serialize([("0.weight", half)], None).expect("small");
        let refused =
            |bytes: &[u8]| Weights::from_safetensors(&layout(5), bytes).expect_err("it is refused");
        assert!(refused(&bytes).contains("0.weight: F16, expected F32"), "{}", refused(&bytes));
        assert!(refused(b"PK\x03\x04").contains("torch.save"));
        assert!(refused(&bytes[..40]).contains("damaged"));
        assert!(refused(b"").contains("damaged"));
    }

    #[test]
    fn a_file_that_cannot_be_written_is_named() {
        let path = Path::new("/nowhere/model.safetensors");
        let weights = Weights::initial(&layout(2), 0);
        let error = weights.save(&layout(2), path).expect_err("there is no such folder");
        assert!(error.to_string().contains("/nowhere/model.safetensors"), "{error}");
    }
}
