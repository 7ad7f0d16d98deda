//! Checkpoints: files that a run is resumed from. A resumed run has the same results as one that never stopped.
//!
//! A checkpoint is a safetensors file. It has the tensors of `model.safetensors` under the same names, so `wgrad eval`
//! reads a checkpoint as weights. The optimizer's state, the metrics of the epoch so far and the order of its images have
//! names that begin with `training.`. The rest is a [`Header`], as JSON in the metadata of the file. The header has a
//! checksum of its other fields and of all tensors.
//!
//! Random numbers need no saved state: each is a function of the seed, the epoch and the number of the image (see
//! [`augment`](crate::ops::augment)). Seed and epoch are in the header.

mod header;
mod retention;
mod validate;

use std::fs;
use std::path::{Path, PathBuf};

use safetensors::SafeTensors;

use super::Snapshot;
use crate::Error;
use crate::base::files::{self, FileError};
use crate::base::sorting::sort_by;
use crate::data::batches::Batch;
use crate::nn::tensor_file::{Reader, Writer};
use crate::nn::{ModelInfo, Weights};
use crate::tape::{StateBuffer, StateLayout};
use crate::train::TrainError;

use header::FORMAT_VERSION;
pub use header::Header;
pub use retention::{Retention, latest};
pub(super) use validate::is_batch;

/// The key of the header in the metadata of a checkpoint file.
const KEY: &str = "wgrad_checkpoint";

/// The largest checkpoint file that is read, 64 GiB. Checkpoints of the networks here are far smaller.
const MAX_BYTES: u64 = 1 << 36;

/// `ORDER`, `METRICS` and `BATCH` are the names of those tensors of a checkpoint that do not belong to a parameter or
/// running statistic.
const ORDER: &str = "training.order";
const METRICS: &str = "training.metrics";
const BATCH: [&str; 4] =
    ["training.pixels", "training.labels", "training.indices", "training.sizes"];

/// Returns the prefix of the names of a state buffer's tensors, such as `training.exp_avg.`. The name of the parameter
/// follows. The tensors of weights have no prefix.
fn prefix(layout: &StateLayout, buffer: StateBuffer) -> String {
    format!("training.{}.", layout.name(buffer))
}

/// The contents of a checkpoint.
#[derive(Clone, PartialEq, Debug)]
pub struct Checkpoint {
    /// The position of the run, its settings and its earlier epochs.
    pub header: Header,
    /// The order of the training images in the current epoch: their numbers, `[n]`.
    pub order: Vec<u32>,
    /// The images of the next step; none in most checkpoints. The file that a run writes after a step with a NaN or
    /// infinite loss or gradient has the images of this step. The step can then be replayed without the dataset.
    pub batch: Option<Batch>,
    /// The training state.
    pub snapshot: Snapshot,
    /// The record of the training data, as in `model.safetensors`; none in files of earlier versions.
    pub info: Option<ModelInfo>,
}

impl Checkpoint {
    /// Returns the name of the checkpoint file that a run writes after `step` training steps.
    pub fn file_name(step: u64) -> String {
        format!("checkpoint-{step}.safetensors")
    }

    /// Writes the file. A failure leaves no partial file.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save(&self, layout: &StateLayout, path: &Path) -> Result<(), FileError> {
        files::write_whole(path, &self.to_bytes(layout))
    }

    /// Returns the contents of the file.
    pub fn to_bytes(&self, layout: &StateLayout) -> Vec<u8> {
        let mut file = Writer::default();
        for (buffer, values) in Snapshot::BUFFERS.into_iter().zip(&self.snapshot.buffers) {
            match buffer {
                StateBuffer::Metrics => file.f32(METRICS.to_string(), vec![values.len()], values),
                StateBuffer::Parameters | StateBuffer::RunningStatistics => {
                    file.members("", layout.members(buffer), values);
                }
                _ => file.members(&prefix(layout, buffer), layout.members(buffer), values),
            }
        }
        file.u32(ORDER.to_string(), &self.order);
        if let Some(batch) = &self.batch {
            let words = [&batch.pixels, &batch.labels, &batch.indices, &batch.sizes];
            for (name, words) in BATCH.into_iter().zip(words) {
                file.u32(name.to_string(), words);
            }
        }
        let info = self.info.as_ref().map(ModelInfo::to_json);
        let mut header = self.header.clone();
        header.checksum = Some(header.checksum(info.as_deref(), file.bytes()));
        let header = serde_json::to_string(&header).expect("numbers and strings");
        let info = info.as_deref().map(|info| (ModelInfo::KEY, info));
        file.finish(&info.into_iter().chain([(KEY, header.as_str())]).collect::<Vec<_>>())
    }
}

/// A checkpoint file with a verified checksum. Its tensors are not decoded yet.
pub struct CheckpointFile {
    path: PathBuf,
    bytes: Vec<u8>,
    info: Option<ModelInfo>,
    /// The header.
    pub header: Header,
}

impl CheckpointFile {
    /// Reads a file, and checks its version and checksum.
    ///
    /// # Errors
    /// [`Error::File`] if the file cannot be read. [`TrainError::Checkpoint`] if it is not a checkpoint, is damaged, or
    /// has another version.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let refused = |reason| TrainError::Checkpoint { path: path.to_path_buf(), reason };
        let length = fs::metadata(path).map_err(FileError::at(path))?.len();
        if length > MAX_BYTES {
            return Err(refused(format!("not a checkpoint: {length} bytes are too many")).into());
        }
        let bytes = fs::read(path).map_err(FileError::at(path))?;
        Ok(Self::parse(path, bytes).map_err(refused)?)
    }

    /// Reads a file from its bytes, and checks its version and checksum. `path` is for errors.
    ///
    /// # Errors
    /// If the bytes are not a checkpoint, are damaged, or have another version. The error is the reason, in words.
    pub fn parse(path: &Path, bytes: Vec<u8>) -> Result<Self, String> {
        let damaged = |error| format!("not a safetensors file, or a damaged one ({error})");
        let (_, metadata) = SafeTensors::read_metadata(&bytes).map_err(damaged)?;
        let file = SafeTensors::deserialize(&bytes).map_err(damaged)?;
        let entry = |key: &str| metadata.metadata().as_ref().and_then(|map| map.get(key));
        let (header, info) = (entry(KEY), entry(ModelInfo::KEY).map(String::as_str));
        let header = header.ok_or("a safetensors file, but not a checkpoint of a run")?;
        let value: serde_json::Value =
            serde_json::from_str(header).map_err(|error| format!("damaged ({error})"))?;
        let version = value.get("format_version").and_then(serde_json::Value::as_u64);
        if version != Some(FORMAT_VERSION.into()) {
            let version = version.map_or("unknown".to_string(), |version| version.to_string());
            return Err(format!(
                "its format is {version}, but this version of wgrad reads {FORMAT_VERSION}"
            ));
        }
        let header: Header =
            serde_json::from_value(value).map_err(|error| format!("damaged ({error})"))?;
        let mut tensors = file.tensors();
        sort_by(&mut tensors, |(a, _), (b, _)| a.cmp(b));
        let tensors = tensors.iter().map(|(name, tensor)| (name.as_str(), tensor.data()));
        if header.checksum != Some(header.checksum(info, tensors)) {
            return Err("damaged: its contents do not match its checksum".to_string());
        }
        let info = info.map(ModelInfo::parse).transpose();
        let info =
            info.map_err(|error| format!("its record of the training data is damaged: {error}"))?;
        Ok(Self { path: path.to_path_buf(), bytes, header, info })
    }

    /// Returns the path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the contents, for a network with this layout.
    ///
    /// # Errors
    /// [`TrainError::Checkpoint`] if the tensors do not fit the layout.
    pub fn restore(self, layout: &StateLayout) -> Result<Checkpoint, TrainError> {
        let Self { path, bytes, info, header } = self;
        tensors(layout, &bytes, header)
            .map(|checkpoint| Checkpoint { info, ..checkpoint })
            .map_err(|reason| TrainError::Checkpoint { path, reason: reason.join("\n  ") })
    }
}

/// Decodes the tensors of a checkpoint. Returns all problems if they do not fit the layout.
fn tensors(layout: &StateLayout, bytes: &[u8], header: Header) -> Result<Checkpoint, Vec<String>> {
    let file = SafeTensors::deserialize(bytes).map_err(|error| vec![error.to_string()])?;
    let length = |name| file.tensor(name).map_or(0, |tensor| tensor.shape().iter().product());
    let (n_images, lengths) = (length(ORDER), BATCH.map(length));
    let mut file = Reader::new(&file);
    let weights = Weights::read(layout, &mut file);
    let buffers = Snapshot::BUFFERS.into_iter().map(|buffer| match buffer {
        StateBuffer::Parameters => weights.parameters.clone(),
        StateBuffer::RunningStatistics => weights.running_statistics.clone(),
        StateBuffer::Metrics => file.f32(METRICS, &[layout.n_elements(buffer)]).unwrap_or_default(),
        _ => {
            file.members(&prefix(layout, buffer), layout.members(buffer), layout.n_elements(buffer))
        }
    });
    let buffers = buffers.collect();
    let order = file.u32(ORDER, n_images).unwrap_or_default();
    let batch = (lengths[0] > 0).then(|| {
        let mut words = |ix: usize| file.u32(BATCH[ix], lengths[ix]).unwrap_or_default();
        let (pixels, labels, indices) = (words(0), words(1), words(2));
        // Files of earlier versions have no sizes.
        let sizes = if lengths[3] > 0 { words(3) } else { Vec::new() };
        let n_valid = labels.len();
        Batch { pixels, sizes, labels, indices, n_valid }
    });
    let mut problems = file.finish().lines();
    if batch.as_ref().is_some_and(|batch| batch.indices.len() != batch.labels.len()) {
        problems.push("its batch is damaged: it must have one row for each image".into());
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let snapshot = Snapshot { buffers, n_steps: header.step };
    Ok(Checkpoint { header, order, batch, snapshot, info: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::fingerprint::Fingerprint;
    use crate::nn::{NetworkConfig, ResNet9, WeightsFile};

    fn layout(width: usize) -> StateLayout {
        let mut tape = NetworkConfig::from(ResNet9 { width, classes: 10 }).tape([32, 32, 3]);
        tape.optimizer_state(&["exp_avg", "exp_avg_sq"]);
        tape.state().clone()
    }

    fn info() -> ModelInfo {
        ModelInfo {
            classes: vec!["a".to_string(), "b".to_string()],
            data: "shapes".to_string(),
            fingerprint: Fingerprint::of([]),
            image: [32, 32, 3],
            mean: vec![0.5; 3],
            standard_deviation: vec![0.25; 3],
            network: None,
        }
    }

    fn checkpoint(layout: &StateLayout) -> Checkpoint {
        let weights = Weights::initial(layout, 3);
        let buffers = Snapshot::BUFFERS.map(|buffer| match buffer {
            StateBuffer::Parameters => weights.parameters.clone(),
            StateBuffer::RunningStatistics => weights.running_statistics.clone(),
            StateBuffer::Metrics => (0..layout.n_elements(buffer)).map(|ix| ix as f32).collect(),
            StateBuffer::AveragedParameters => Vec::new(),
            // The values are derived from the weights, because the padding between the parameters must be 0.
            _ => weights.parameters.iter().map(|value| value * 0.5).collect(),
        });
        let header = Header {
            format_version: FORMAT_VERSION,
            checksum: None,
            step: 70,
            epoch: 3,
            n_batches: 7,
            seed: u64::MAX,
            epoch_seconds: 0.1 + 0.2,
            run_seconds: 1.0 / 3.0,
            best_step: Some(42),
            device: "cpu".to_string(),
            began_on: Some("llvmpipe".to_string()),
            dataset: Fingerprint::of([]),
            config: "max-lr = 0.01\n".to_string(),
            epochs: Vec::new(),
        };
        let order = vec![2, 0, 1];
        let snapshot = Snapshot { buffers: buffers.into(), n_steps: 70 };
        Checkpoint {
            header,
            order,
            batch: Some(Batch::new(2, [32, 32, 3].into())),
            snapshot,
            info: Some(info()),
        }
    }

    #[test]
    fn a_checkpoint_is_read_back_as_it_was_saved() {
        let layout = layout(4);
        let saved = checkpoint(&layout);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join(Checkpoint::file_name(70));
        saved.save(&layout, &path).expect("it can be written");
        let file = CheckpointFile::read(&path).expect("it is whole");
        let mut loaded = file.restore(&layout).expect("it fits");
        loaded.header.checksum = None;
        let batch = loaded.batch.as_mut().expect("it was there");
        batch.n_valid = 0; // The file does not have this count, since the batch of a training step is full.
        // `assert_eq!` would print all tensors.
        assert!(loaded == saved);
        let file = WeightsFile::read(&path).expect("a checkpoint holds weights");
        assert_eq!(file.info(), Some(&info()));
        let (weights, _) = file.weights(&layout).expect("they fit");
        assert_eq!(weights.parameters, saved.snapshot.buffers[0]);
    }

    #[test]
    fn every_damaged_byte_is_found() {
        let layout = layout(4);
        let bytes = checkpoint(&layout).to_bytes(&layout);
        let parse = |bytes: &[u8]| CheckpointFile::parse(Path::new("x"), bytes.to_vec());
        assert!(parse(&bytes).is_ok());
        // The loop flips one bit at a time: in the length of the header, in the header and in the tensors.
        for at in (0..bytes.len()).step_by(bytes.len() / 97).chain([0, 9, bytes.len() - 1]) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 4;
            assert!(parse(&damaged).is_err(), "byte {at} of {}", bytes.len());
        }
        for length in [0, 7, 8, 100, bytes.len() - 1] {
            assert!(parse(&bytes[..length]).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn other_files_and_other_networks_are_refused() {
        let reason = |bytes: Vec<u8>| {
            CheckpointFile::parse(Path::new("x"), bytes).err().expect("it is refused")
        };
        let small = layout(4);
        let mut weights = Writer::default();
        Weights::initial(&small, 0).write(&small, &mut weights);
        assert!(reason(weights.finish(&[("format", "pt")])).contains("not a checkpoint"));
        assert!(
            reason(weights.finish(&[(KEY, r#"{"format_version": 2}"#)])).contains("format is 2")
        );
        let bytes = checkpoint(&small).to_bytes(&small);
        let file = CheckpointFile::parse(Path::new("x"), bytes).expect("it is whole");
        let error = file.restore(&layout(5)).expect_err("of another width").to_string();
        assert!(error.contains("prep.0.weight: shape [4, 3, 3, 3]"), "{error}");
    }
}
