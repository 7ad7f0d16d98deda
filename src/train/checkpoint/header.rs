//! The header of a checkpoint: the position of the run, its settings and its earlier epochs.

use serde::{Deserialize, Serialize};

use crate::base::fingerprint::Fingerprint;
use crate::train::metrics::EpochMetrics;

/// The version of the format that is written. Other versions are not read.
pub(super) const FORMAT_VERSION: u32 = 1;

/// The part of a checkpoint that is not tensors.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Header {
    /// The version of the format.
    pub format_version: u32,
    /// The hash of the other fields of the header, of the record of the training data, and of all tensors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checksum: Option<Fingerprint>,
    /// The number of training steps so far. The learning rate of the next step depends on this number.
    pub step: u64,
    /// The current epoch, from 0.
    pub epoch: usize,
    /// The number of batches of the current epoch that were trained on.
    pub n_batches: usize,
    /// The seed of all random numbers.
    pub seed: u64,
    /// The training time of the current epoch so far, in seconds.
    pub epoch_seconds: f64,
    /// The time of the run so far, in seconds.
    pub run_seconds: f64,
    /// The step of the checkpoint with the best evaluation so far; none before the first evaluation.
    pub best_step: Option<u64>,
    /// The name of the device.
    pub device: String,
    /// The name of the device that the run began on, if the run moved to another device later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub began_on: Option<String>,
    /// The hash of all images and labels.
    pub dataset: Fingerprint,
    /// The settings: the contents of `config.toml`.
    pub config: String,
    /// The results of the epochs so far: the lines of `metrics.jsonl`.
    pub epochs: Vec<EpochMetrics>,
}

impl Header {
    /// Returns the format version of new checkpoints.
    pub(crate) fn version() -> u32 {
        FORMAT_VERSION
    }

    /// Returns the epoch, from 0, of the latest training step; 0 before the first step.
    pub(crate) fn epoch_of_last_step(&self) -> usize {
        if self.n_batches == 0 { self.epoch.saturating_sub(1) } else { self.epoch }
    }

    /// Returns the hash of the header without its checksum, of the record of the training data if there is one, and of
    /// all tensors in the order of their names.
    pub(super) fn checksum<'a>(
        &self,
        info: Option<&str>,
        tensors: impl Iterator<Item = (&'a str, &'a [u8])>,
    ) -> Fingerprint {
        let header = Self { checksum: None, ..self.clone() };
        let header = serde_json::to_vec(&header).expect("numbers and strings");
        let tensors = tensors.flat_map(|(name, bytes)| [name.as_bytes(), bytes]);
        let head = [header.as_slice()].into_iter().chain(info.map(str::as_bytes));
        Fingerprint::of(head.chain(tensors))
    }
}
