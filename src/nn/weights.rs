//! Weights, the numbers that training changes, and their files.
//!
//! A file is safetensors with PyTorch's names, shapes and layouts. In PyTorch, `safetensors.torch.load_file` reads the
//! file, and `load_state_dict` takes the result unchanged. Files from PyTorch load here. `tensor_file.rs` converts the
//! names and the order of elements.

use std::fs;
use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use sha2::{Digest, Sha256};

use super::{ModelInfo, WeightsError, tensor_file};
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

    /// Reads a file that has the weights of a network with this layout. [`WeightsFile`] does the same in two steps, and
    /// also returns the record of the training data, and notes on converted names and types.
    ///
    /// # Errors
    /// The errors of [`WeightsFile::read`] and [`WeightsFile::weights`].
    pub fn load(layout: &StateLayout, path: &Path) -> Result<Self, WeightsError> {
        Ok(WeightsFile::read(path)?.weights(layout)?.0)
    }

    /// Returns the bytes of the file that [`Weights::save`] writes.
    pub fn to_safetensors(&self, layout: &StateLayout, info: Option<&ModelInfo>) -> Vec<u8> {
        let mut file = tensor_file::Writer::default();
        self.write(layout, &mut file);
        // Hugging Face's loaders require the entry `format` in the metadata, so every file has the entry.
        match info.map(ModelInfo::to_json) {
            None => file.finish(&[("format", "pt")]),
            Some(info) => file.finish(&[("format", "pt"), (ModelInfo::KEY, &info)]),
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
        let mut fill = |group| file.members("", layout.members(group), layout.n_elements(group));
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
    fn check_values(&self, layout: &StateLayout) -> Result<(), String> {
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

/// A file of weights in memory. The network need not exist yet: [`WeightsFile::width`] and [`WeightsFile::info`] return
/// the network's width and classes.
pub struct WeightsFile {
    path: PathBuf,
    bytes: Vec<u8>,
    info: Option<ModelInfo>,
}

impl WeightsFile {
    /// Reads a file.
    ///
    /// # Errors
    /// [`WeightsError::File`] when it cannot be read, [`WeightsError::Folder`] when it is a folder, and the errors of
    /// [`WeightsFile::parse`].
    pub fn read(path: &Path) -> Result<Self, WeightsError> {
        if fs::metadata(path).map_err(FileError::at(path))?.is_dir() {
            return Err(WeightsError::Folder { path: path.to_path_buf() });
        }
        Self::parse(path, fs::read(path).map_err(FileError::at(path))?)
    }

    /// Parses the bytes of a file. `path` is for error messages.
    ///
    /// # Errors
    /// [`WeightsError::Format`] when the bytes are not safetensors, or the record of the training data is damaged.
    pub fn parse(path: &Path, bytes: Vec<u8>) -> Result<Self, WeightsError> {
        match parse_info(&bytes) {
            Ok(info) => Ok(Self { path: path.to_path_buf(), bytes, info }),
            Err(reason) => Err(WeightsError::Format { path: path.to_path_buf(), reason }),
        }
    }

    /// Returns the path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the record of the training data, if the file has one.
    pub fn info(&self) -> Option<&ModelInfo> {
        self.info.as_ref()
    }

    /// Returns the width of the ResNet-9 in the file, which is the number of channels of its first layer; None for the
    /// weights of another network.
    pub fn width(&self) -> Option<usize> {
        let file = self.tensors();
        let names = file.names();
        let name =
            names.into_iter().find(|name| tensor_file::without_wrappers(name) == FIRST_LAYER)?;
        file.tensor(name).ok()?.shape().first().copied()
    }

    /// Returns the SHA-256 of the file in hexadecimal digits, like `sha256sum`.
    pub fn sha256(&self) -> String {
        Sha256::digest(&self.bytes).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Returns the weights for a network with this layout, and a line for each kind of change: prefixes of wrappers
    /// that were removed from names, and types that were converted.
    ///
    /// # Errors
    /// [`WeightsError::Misfit`] with the tensors that do not fit the network; [`WeightsError::Value`] when an element
    /// is not finite, or a variance is negative.
    pub fn weights(&self, layout: &StateLayout) -> Result<(Weights, Vec<String>), WeightsError> {
        let file = self.tensors();
        let mut tensors = tensor_file::Reader::of_weights(&file);
        let mut weights = Weights::read(layout, &mut tensors);
        if tensors.has(tensor_file::AVERAGES) {
            // The file is a checkpoint of a run with `--ema`. This run evaluates the moving averages of the parameters,
            // so the averages are loaded and not the parameters.
            let n_elements = layout.n_elements(StateBuffer::Parameters);
            weights.parameters =
                tensors.members(tensor_file::AVERAGES, &layout.parameters, n_elements);
        }
        let notes = tensors.notes();
        let problems = tensors.finish().lines();
        if problems.is_empty() {
            let unusable = |reason| WeightsError::Value { path: self.path.clone(), reason };
            weights.check_values(layout).map_err(unusable)?;
            return Ok((weights, notes));
        }
        let network = layout.find(FIRST_LAYER).and_then(|(_, first)| first.shape.last().copied());
        let widths =
            self.width().zip(network).filter(|(of_file, of_network)| of_file != of_network);
        Err(WeightsError::Misfit { path: self.path.clone(), widths, problems })
    }

    fn tensors(&self) -> SafeTensors<'_> {
        SafeTensors::deserialize(&self.bytes).expect("a file that was parsed")
    }
}

/// Checks that bytes are a safetensors file, and returns its record of the training data.
///
/// # Errors
/// A text with the problem of the file.
fn parse_info(bytes: &[u8]) -> Result<Option<ModelInfo>, String> {
    // `torch.save` writes a zip archive, or in old versions a pickle. A valid safetensors file may begin with the same
    // bytes, so these bytes are not an error. They only select the message after another error.
    let is_of_torch = bytes.starts_with(b"PK") || bytes.starts_with(&[0x80]);
    let damaged = |error| match is_of_torch {
        true => "a file of torch.save, not a safetensors file; write it with \
                 safetensors.torch.save_file(model.state_dict(), ...)"
            .to_string(),
        false => format!("not a safetensors file, or a damaged one ({error})"),
    };
    SafeTensors::deserialize(bytes).map_err(damaged)?;
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(damaged)?;
    let record = metadata.metadata().as_ref().and_then(|map| map.get(ModelInfo::KEY));
    let info = record.map(|json| ModelInfo::parse(json)).transpose();
    info.map_err(|error| format!("its metadata entry {:?}: {error}", ModelInfo::KEY))
}

/// The tensor whose number of output channels is the width of a ResNet-9.
const FIRST_LAYER: &str = "prep.0.weight";

#[cfg(test)]
mod tests {
    use safetensors::Dtype;
    use safetensors::tensor::TensorView;

    use crate::base::fingerprint::Fingerprint;

    use super::*;
    use crate::tape::{Initializer, Layout};

    fn layout(width: usize) -> StateLayout {
        let mut layout = StateLayout::default();
        let start = Initializer::Uniform { fan_in: 27 };
        let conv = [3, 3, 3, width];
        layout.add(StateBuffer::Parameters, "0.weight", &conv, Layout::ConvWeight, start);
        layout.add(
            StateBuffer::RunningStatistics,
            "1.running_mean",
            &[width],
            Layout::Plain,
            start,
        );
        let one = Initializer::Constant(1.0);
        layout.add(StateBuffer::RunningStatistics, "1.running_var", &[width], Layout::Plain, one);
        layout
    }

    fn read(layout: &StateLayout, bytes: &[u8]) -> Result<(Weights, Vec<String>), String> {
        let file = WeightsFile::parse(Path::new("x"), bytes.to_vec());
        file.and_then(|file| file.weights(layout)).map_err(|error| error.to_string())
    }

    /// Returns a file of tensors, each with a name, a type, a shape and bytes.
    fn file(tensors: &[(&str, Dtype, &[usize], &[u8])]) -> Vec<u8> {
        let views = tensors.iter().map(|&(name, dtype, shape, bytes)| {
            (name, TensorView::new(dtype, shape.to_vec(), bytes).expect("it is whole"))
        });
        safetensors::serialize(views, None).expect("small")
    }

    #[test]
    fn a_file_restores_the_weights_that_were_saved() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("model.safetensors");
        let (layout, n_batches) = (layout(5), 77);
        let weights = Weights { n_batches, ..Weights::initial(&layout, 3) };
        weights.save(&layout, None, &path).expect("it can be written");
        weights.save(&layout, None, &path).expect("it can be overwritten");
        assert_eq!(Weights::load(&layout, &path).expect("it fits"), weights);
        assert_eq!(fs::read_dir(folder.path()).expect("readable").count(), 1, "no other file");
    }

    #[test]
    fn tensors_have_pytorchs_shapes_and_types() {
        let layout = layout(5);
        let weights = Weights::initial(&layout, 3);
        let bytes = weights.to_safetensors(&layout, None);
        let file = SafeTensors::deserialize(&bytes).expect("just written");
        assert_eq!(file.tensor("0.weight").expect("there").shape(), [5, 3, 3, 3]);
        let count = file.tensor("1.num_batches_tracked").expect("there");
        assert_eq!((count.dtype(), count.shape()), (Dtype::I64, &[][..]));
        assert_eq!(bytes, weights.to_safetensors(&layout, None), "the same bits each time");
    }

    #[test]
    fn the_record_of_the_training_data_is_read_back() {
        let layout = layout(5);
        let weights = Weights::initial(&layout, 3);
        let info = ModelInfo {
            classes: vec!["a \"b\"\u{1b}".to_string(), "ü".to_string()],
            data: "shapes".to_string(),
            fingerprint: Fingerprint::of([]),
            mean: [0.5; 3],
            standard_deviation: [0.25; 3],
        };
        let bytes = weights.to_safetensors(&layout, Some(&info));
        let file = WeightsFile::parse(Path::new("x"), bytes.clone()).expect("just written");
        assert_eq!(file.info(), Some(&info));
        assert_eq!(file.weights(&layout).expect("it fits"), (weights, Vec::new()));
        let (n, metadata) = SafeTensors::read_metadata(&bytes).expect("just written");
        assert_eq!(metadata.metadata().as_ref().expect("some")["format"], "pt");
        assert!(n.is_multiple_of(8), "the data are aligned: {n}");
        let damaged = String::from_utf8_lossy(&bytes).contains("e3b0c442").then(|| {
            let at =
                bytes.windows(8).position(|part| part == b"e3b0c442").expect("the fingerprint");
            [&bytes[..at], b"nonsense", &bytes[at + 8..]].concat()
        });
        let error = WeightsFile::parse(Path::new("x"), damaged.expect("ASCII")).err();
        assert!(error.expect("damaged").to_string().contains("its metadata entry \"wgrad\""));
    }

    #[test]
    fn every_tensor_that_does_not_fit_is_named() {
        let bytes = Weights::initial(&layout(5), 3).to_safetensors(&layout(5), None);
        let mut other = layout(6);
        other.add(StateBuffer::Parameters, "fc", &[1], Layout::Plain, Initializer::Constant(0.0));
        other.running_statistics.remove(1);
        let error = read(&other, &bytes).expect_err("it does not fit");
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
    fn missing_and_unknown_names_are_listed() {
        let names: Vec<String> = (0..9).map(|ix| format!("encoder.{ix}.kernel")).collect();
        let tensors: Vec<_> =
            names.iter().map(|name| (name.as_str(), Dtype::F32, &[1][..], &[0u8; 4][..])).collect();
        let mut large = StateLayout::default();
        for ix in 0..9 {
            let name = format!("layer{ix}.weight");
            large.add(
                StateBuffer::Parameters,
                &name,
                &[1],
                Layout::Plain,
                Initializer::Constant(0.0),
            );
        }
        let error = read(&large, &file(&tensors)).expect_err("it does not fit");
        for line in ["layer4.weight: missing", "encoder.4.kernel: not a part of this network"] {
            assert!(error.contains(line), "{line:?} is not in {error:?}");
        }
        assert_eq!(error.matches("and 4 more like this").count(), 2, "{error}");
    }

    #[test]
    fn float_types_are_converted_and_other_types_refused() {
        // `bytes` is the number 1.5 in the type `dtype`. Every element of the weight is 1.5.
        let one = |name: &str, dtype, bytes: &[u8]| {
            let weight = bytes.repeat(135);
            let others: Vec<_> = ["1.running_mean", "1.running_var"]
                .map(|name| (name, Dtype::F32, &[5][..], &[0u8; 20][..]))
                .into();
            let all = [vec![("0.weight", dtype, &[5, 3, 3, 3][..], &weight[..])], others].concat();
            let (weights, notes) = read(&layout(5), &file(&all)).expect(name);
            assert!(weights.parameters[..135].iter().all(|&value| value == 1.5), "{name}");
            assert_eq!(notes, [format!("converted 1 tensor from {name} to F32")]);
        };
        one("F16", Dtype::F16, &[0x00, 0x3e]);
        one("BF16", Dtype::BF16, &[0xc0, 0x3f]);
        one("F64", Dtype::F64, &1.5f64.to_le_bytes());
        let large = 1e300f64.to_le_bytes().repeat(135);
        let large = file(&[("0.weight", Dtype::F64, &[5, 3, 3, 3], &large)]);
        let error = read(&layout(5), &large).expect_err("it is refused");
        assert!(error.contains("0.weight: 1e300 is too large for F32"), "{error}");
        let words = file(&[("0.weight", Dtype::I32, &[5, 3, 3, 3], &[0; 540])]);
        let refused = |bytes: &[u8]| read(&layout(5), bytes).expect_err("it is refused");
        let error = refused(&words);
        assert!(error.contains("0.weight: I32, expected F32, F16, BF16 or F64"), "{error}");
        assert!(refused(b"PK\x03\x04").contains("torch.save"));
        assert!(refused(b"\x80\x02}q").contains("torch.save"));
        assert!(refused(&words[..40]).contains("damaged"));
        assert!(refused(b"").contains("damaged"));
    }

    #[test]
    fn prefixes_of_wrappers_are_removed() {
        let layout = layout(1);
        let weight = [0; 108];
        let (four, count) = ([0u8; 4], [7u8, 0, 0, 0, 0, 0, 0, 0]);
        let wrapped = file(&[
            ("_orig_mod.module.0.weight", Dtype::F32, &[1, 3, 3, 3], &weight),
            ("module.1.running_mean", Dtype::F32, &[1], &four),
            ("module.1.running_var", Dtype::F32, &[1], &four),
            // PyTorch's count of batches is a scalar of type i64; this count has another type and shape.
            ("module.1.num_batches_tracked", Dtype::F32, &[1], &four),
            ("n_averaged", Dtype::I64, &[], &count),
        ]);
        let (weights, notes) = read(&layout, &wrapped).expect("it fits");
        assert_eq!(weights.n_batches, 0);
        assert_eq!(
            notes,
            [
                "removed the prefix \"_orig_mod.module.\" from the names of 1 tensor",
                "removed the prefix \"module.\" from the names of 3 tensors",
                "ignored n_averaged and 1 more; no computation reads them"
            ]
        );
        let twice = file(&[
            ("0.weight", Dtype::F32, &[1, 3, 3, 3], &weight),
            ("module.0.weight", Dtype::F32, &[1, 3, 3, 3], &weight),
        ]);
        assert!(
            read(&layout, &twice)
                .expect_err("ambiguous")
                .contains("0.weight: the file has it twice")
        );
    }

    #[test]
    fn an_element_that_is_not_finite_is_named() {
        let layout = layout(5);
        let good = Weights::initial(&layout, 3);
        let refused = |weights: &Weights| {
            read(&layout, &weights.to_safetensors(&layout, None)).expect_err("it is refused")
        };
        // PyTorch's element [co 4, ci 2, ky 0, kx 1] is [ky 0, kx 1, ci 2, co 4] in the tape's layout.
        let at = (5 * 3) + 2 * 5 + 4;
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut bad = good.clone();
            bad.parameters[at] = value;
            let expected =
                format!("0.weight: element [4, 2, 0, 1] is {value}; a weight must be finite");
            assert!(refused(&bad).contains(&expected), "{}", refused(&bad));
        }
        let mut bad = good.clone();
        let variance = layout.find("1.running_var").expect("there").1.offset;
        bad.running_statistics[variance + 3] = -0.25;
        assert!(refused(&bad).contains("1.running_var: element [3] is -0.25; a variance must not"));
        bad.running_statistics[variance + 3] = 0.0;
        let mean = layout.find("1.running_mean").expect("there").1.offset;
        bad.running_statistics[mean] = -1.0;
        assert!(read(&layout, &bad.to_safetensors(&layout, None)).is_ok());
    }

    #[test]
    fn the_error_names_a_file_that_cannot_be_written() {
        let path = Path::new("/nowhere/model.safetensors");
        let weights = Weights::initial(&layout(2), 0);
        let error = weights.save(&layout(2), None, path).expect_err("there is no such folder");
        assert!(error.to_string().contains("/nowhere/model.safetensors"), "{error}");
    }
}
