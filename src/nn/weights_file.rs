//! Reads a file of weights, and finds out which network it has.

use std::fs;
use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use safetensors::tensor::TensorView;
use sha2::{Digest, Sha256};

use super::networks::{self, NetworkConfig, NetworkRef};
use super::torch_file::{self, Converted};
use super::{ModelInfo, Weights, WeightsError, tensor_file};
use crate::base::files::FileError;
use crate::tape::{StateBuffer, StateLayout};

impl Weights {
    /// Reads a file that has the weights of a network with this layout. [`WeightsFile`] does the same in two steps, and
    /// also returns the record of the training data, and notes on converted names and types.
    ///
    /// # Errors
    /// The errors of [`WeightsFile::read`] and [`WeightsFile::weights`].
    pub fn load(layout: &StateLayout, path: &Path) -> Result<Self, WeightsError> {
        Ok(WeightsFile::read(path)?.weights(layout)?.0)
    }
}

/// A file of weights in memory. The network need not exist yet: [`WeightsFile::network`] returns its configuration.
pub struct WeightsFile {
    path: PathBuf,
    /// The bytes of the file.
    bytes: Vec<u8>,
    /// The tensors of a file of `torch.save` as a safetensors file; None for a safetensors file.
    converted: Option<Converted>,
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

    /// Parses the bytes of a file: safetensors, or a file of `torch.save`. `path` is for error messages.
    ///
    /// # Errors
    /// [`WeightsError::Format`] when the bytes have another format, the file has more than tensors and plain data, or
    /// the record of the training data is damaged.
    pub fn parse(path: &Path, bytes: Vec<u8>) -> Result<Self, WeightsError> {
        let parsed = converted(&bytes).and_then(|converted| {
            let info = parse_info(converted.as_ref().map_or(&bytes, |file| &file.safetensors))?;
            Ok((converted, info))
        });
        let path = path.to_path_buf();
        match parsed {
            Ok((converted, info)) => Ok(Self { path, bytes, converted, info }),
            Err(reason) => Err(WeightsError::Format { path, reason }),
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

    /// Returns the configuration of the network in the file. The network is the argument `network`, else the one in the
    /// file's record, else [`DEFAULT`](networks::DEFAULT). The width is the argument `width`, else it follows from the
    /// shape of the stem's tensor; without this tensor it is the record's width, else the network's default. The number
    /// of classes follows from the shape of the head's tensor.
    ///
    /// # Errors
    /// [`WeightsError::Format`] if the record names a network that does not exist. [`WeightsError::Misfit`] if the
    /// record names another network than the argument `network`, or the file has no tensor with the name of the head.
    pub fn network(
        &self,
        network: Option<NetworkRef>,
        width: Option<usize>,
    ) -> Result<NetworkConfig, WeightsError> {
        let path = || self.path.clone();
        let recorded = self.info().and_then(|info| info.network.as_ref());
        let of_file = recorded.map(|entry| networks::by_name(&entry.name)).transpose();
        let of_file = of_file.map_err(|reason| WeightsError::Format {
            path: path(),
            reason: format!("its metadata entry {:?}: network {reason}", ModelInfo::KEY),
        })?;
        let network = match (network, of_file) {
            (Some(network), Some(of_file)) if network != of_file => {
                return Err(self.other_network(of_file, network, Vec::new()));
            }
            (Some(network), _) | (None, Some(network)) => network,
            (None, None) => networks::DEFAULT,
        };
        let shapes = self.shapes();
        let [of_stem, of_head] = networks::size_of(network, &shapes);
        let recorded = recorded.map(|entry| entry.width);
        let width = width.or(of_stem).or(recorded).unwrap_or(network.default_width()).max(1);
        let Some(classes) = of_head.filter(|&classes| classes > 0) else {
            // The file has the weights of another network. To list the tensors that do not fit, the file is compared
            // with the tape of `network`. A damaged file may give a huge width, so the tape has at most the default
            // width.
            let width = width.min(network.default_width());
            let tape = NetworkConfig::new(network, width, 1).tape(network.default_image());
            return Err(self.weights(tape.state()).expect_err("the head is missing"));
        };
        Ok(NetworkConfig::new(network, width, classes))
    }

    /// Returns the SHA-256 of the file in hexadecimal digits, as `sha256sum` prints it.
    pub fn sha256(&self) -> String {
        Sha256::digest(&self.bytes).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Returns a safetensors file with the tensors of this file, and a line for each kind of change, as
    /// [`WeightsFile::weights`] does. Names lose the prefixes of wrappers; types and bits stay, and so does the metadata.
    ///
    /// # Errors
    /// [`WeightsError::Format`] when two names differ only in the prefixes of wrappers.
    pub fn to_safetensors(&self) -> Result<(Vec<u8>, Vec<String>), WeightsError> {
        let file = self.tensors();
        let tensors = tensor_file::Reader::of_weights(&file);
        let notes = self.notes(&tensors);
        let mut writer = tensor_file::Writer::default();
        let problems = tensors.copy(&mut writer).lines();
        if !problems.is_empty() {
            let (path, reason) = (self.path.clone(), problems.join("\n  "));
            return Err(WeightsError::Format { path, reason });
        }
        let (_, header) = SafeTensors::read_metadata(self.safetensors()).expect("parsed before");
        let metadata = header.metadata().clone().unwrap_or_default();
        let mut metadata: Vec<(&str, &str)> =
            metadata.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        if metadata.is_empty() {
            metadata.push(tensor_file::OF_PYTORCH);
        }
        metadata.sort_unstable();
        Ok((writer.finish(&metadata), notes))
    }

    /// Returns the weights for a network with this layout, and a line for each kind of change: an entry of a file of
    /// `torch.save` that was selected, prefixes of wrappers that were removed from names, and types that were
    /// converted.
    ///
    /// # Errors
    /// [`WeightsError::Misfit`] with the tensors that do not fit the network; [`WeightsError::Value`] when an element
    /// is not finite, or a variance is negative.
    pub fn weights(&self, layout: &StateLayout) -> Result<(Weights, Vec<String>), WeightsError> {
        self.weights_without(layout, &[])
    }

    /// Returns the weights for the network `config` with this layout, as [`WeightsFile::weights`] does. The file may have
    /// auxiliary heads that the network leaves out, and the network may have auxiliary heads that the file lacks. With
    /// `new_head`, the last layer is not read, and neither are the auxiliary heads. The parameters that are not read get
    /// the initial values for the seed.
    ///
    /// # Errors
    /// As for [`WeightsFile::weights`].
    pub fn weights_of(
        &self,
        config: &NetworkConfig,
        layout: &StateLayout,
        new_head: bool,
        seed: u64,
    ) -> Result<(Weights, Vec<String>), WeightsError> {
        let in_file = networks::auxiliary(config.network, &self.shapes());
        let mut left_out = Vec::new();
        if in_file != config.auxiliary || new_head {
            left_out.extend(config.network.auxiliary_prefixes().iter().map(|it| it.to_string()));
        }
        if new_head {
            left_out.push(config.network.head().trim_end_matches("weight").to_string());
        }
        let (mut weights, mut notes) = self.weights_without(layout, &left_out)?;
        let initial = Weights::initial(layout, seed);
        let is_new = |name: &str| left_out.iter().any(|prefix| name.starts_with(prefix));
        let mut n_new = 0;
        for (members, to, from) in [
            (&layout.parameters, &mut weights.parameters, &initial.parameters),
            (
                &layout.running_statistics,
                &mut weights.running_statistics,
                &initial.running_statistics,
            ),
        ] {
            for member in members.iter().filter(|member| is_new(&member.name)) {
                to[member.range()].copy_from_slice(&from[member.range()]);
                n_new += 1;
            }
        }
        if n_new > 0 {
            notes
                .push(format!("{n_new} tensors of {} begin with new weights", left_out.join(", ")));
        } else if in_file && !config.auxiliary {
            notes.push("the auxiliary heads are not run".to_string());
        }
        Ok((weights, notes))
    }

    /// Returns the weights as [`WeightsFile::weights`] does, but zeros for the members whose names begin with one of
    /// `left_out`.
    fn weights_without(
        &self,
        layout: &StateLayout,
        left_out: &[String],
    ) -> Result<(Weights, Vec<String>), WeightsError> {
        let file = self.tensors();
        let mut tensors = tensor_file::Reader::of_weights(&file);
        left_out.iter().for_each(|prefix| tensors.leave_out(prefix));
        let mut weights = Weights::read(layout, &mut tensors);
        if tensors.has(tensor_file::AVERAGES) {
            // The file is a checkpoint of a run with `--ema`. Such a run evaluates the moving averages of the
            // parameters, so the averages are loaded in place of the parameters.
            let n_elements = layout.n_elements(StateBuffer::Parameters);
            weights.parameters =
                tensors.members(tensor_file::AVERAGES, &layout.parameters, n_elements);
        }
        let notes = self.notes(&tensors);
        let problems = tensors.finish().lines();
        if problems.is_empty() {
            let unusable = |reason| WeightsError::Value { path: self.path.clone(), reason };
            weights.check_values(layout).map_err(unusable)?;
            return Ok((weights, notes));
        }
        let members = layout.parameters.iter().chain(&layout.running_statistics);
        let of_layout = networks::recognise(&networks::shapes(members));
        let of_file = networks::recognise(&self.shapes());
        Err(match (of_file, of_layout) {
            (Some(of_file), Some(of_layout)) if of_file.network != of_layout.network => {
                self.other_network(of_file.network, of_layout.network, problems)
            }
            (Some(of_file), Some(of_layout)) if of_file.width != of_layout.width => {
                let of = |config: NetworkConfig| format!("width {}", config.width);
                let difference = Some(difference(&of(of_file), &of(of_layout)));
                WeightsError::Misfit {
                    path: self.path.clone(),
                    difference,
                    in_file: None,
                    problems,
                }
            }
            _ => {
                let path = self.path.clone();
                WeightsError::Misfit { path, difference: None, in_file: None, problems }
            }
        })
    }

    /// Returns the error for a file with the weights of `in_file` that are to be the weights of `network`.
    fn other_network(
        &self,
        in_file: NetworkRef,
        network: NetworkRef,
        problems: Vec<String>,
    ) -> WeightsError {
        let difference = Some(difference(in_file.name(), network.name()));
        let (path, in_file) = (self.path.clone(), Some(in_file.name().to_string()));
        WeightsError::Misfit { path, difference, in_file, problems }
    }

    /// Returns the names and shapes of the file's parameters and running statistics. PyTorch's counts of batches and
    /// the training state of a checkpoint are left out.
    fn shapes(&self) -> networks::Shapes {
        let tensors = self.tensors();
        let shape = |(name, tensor): (&str, TensorView<'_>)| {
            let name = tensor_file::without_wrappers(name);
            tensor_file::is_member(name).then(|| (name.to_string(), tensor.shape().to_vec()))
        };
        tensors.iter().filter_map(shape).collect()
    }

    /// Returns a line for each change that the conversion of the file and its reader made.
    fn notes(&self, tensors: &tensor_file::Reader<'_>) -> Vec<String> {
        let converted = self.converted.iter().flat_map(|file| &file.notes);
        converted.cloned().chain(tensors.notes()).collect()
    }

    fn safetensors(&self) -> &[u8] {
        self.converted.as_ref().map_or(&self.bytes, |file| &file.safetensors)
    }

    fn tensors(&self) -> SafeTensors<'_> {
        SafeTensors::deserialize(self.safetensors()).expect("a file that was parsed")
    }
}

/// Returns the sentence with the names, or the widths, of the network in a file and of the network that reads the file.
fn difference(in_file: &str, of_network: &str) -> String {
    format!("the file has {in_file}, and the network has {of_network}")
}

/// Converts a file of `torch.save`; returns None for a file of another format.
///
/// # Errors
/// A text with the problem, if the file is one of `torch.save` that cannot be read.
fn converted(bytes: &[u8]) -> Result<Option<Converted>, String> {
    // A valid safetensors file may begin with the same bytes as a file of `torch.save`.
    if !torch_file::may_be(bytes) || SafeTensors::deserialize(bytes).is_ok() {
        return Ok(None);
    }
    let converted = torch_file::convert(bytes);
    converted.map(Some).map_err(|reason| format!("a file of torch.save that is not read: {reason}"))
}

/// Checks that bytes are a safetensors file, and returns its record of the training data.
///
/// # Errors
/// If the bytes are not such a file, or the record is damaged. The error is a text with the problem.
fn parse_info(bytes: &[u8]) -> Result<Option<ModelInfo>, String> {
    let damaged = |error| {
        format!("neither a safetensors file nor one of torch.save, or a damaged one ({error})")
    };
    SafeTensors::deserialize(bytes).map_err(damaged)?;
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(damaged)?;
    let record = metadata.metadata().as_ref().and_then(|map| map.get(ModelInfo::KEY));
    let info = record.map(|json| ModelInfo::parse(json)).transpose();
    info.map_err(|error| format!("its metadata entry {:?}: {error}", ModelInfo::KEY))
}

#[cfg(test)]
mod tests;
