//! Reads trained weights for a command, and makes an evaluator with them.

use std::num::NonZeroU16;
use std::path::Path;

use wgrad::base::shown::Shown;
use wgrad::data::N_CLASSES;
use wgrad::device::Device;
use wgrad::nn::{ResNet9, WeightsError, WeightsFile};
use wgrad::train::step::StepConfig;
use wgrad::train::{Evaluator, folder, recipe};

/// Reads a file of weights. `path` is the file or a run's folder; [`folder::weights_file`] selects the file in the
/// folder.
///
/// # Errors
/// As for [`WeightsFile::read`].
pub fn read(path: &Path) -> Result<WeightsFile, WeightsError> {
    WeightsFile::read(&folder::weights_file(path))
}

/// Returns an evaluator with the weights of a file for steps of `batch_size` images, and the network's width. `width`
/// is the value of the flag `--width`; without it, the file determines the width. Prints a note on the standard error
/// for each tensor that is renamed or converted.
///
/// # Errors
/// If the weights do not fit the network, the step exceeds a limit of the device, or the device fails.
pub fn evaluator(
    device: &Device,
    file: &WeightsFile,
    width: Option<NonZeroU16>,
    batch_size: usize,
) -> anyhow::Result<(Evaluator, usize)> {
    let is_given = width.is_some();
    let width = width.map(|n| n.get().into()).or_else(|| file.width());
    let width = width.unwrap_or(recipe::CIFAR10.width);
    let mut config = StepConfig::new(ResNet9 { width, classes: N_CLASSES }, batch_size);
    if let Some(info) = file.info() {
        (config.mean, config.standard_deviation) = (info.mean, info.standard_deviation);
    }
    let mut evaluator = Evaluator::new(device, &config)?;
    let (weights, notes) = file.weights(evaluator.layout()).map_err(|error| match error {
        WeightsError::Misfit { path, widths, mut problems } if is_given => {
            problems.push("(without --width, the network has the width of the file)".to_string());
            WeightsError::Misfit { path, widths, problems }
        }
        other => other,
    })?;
    notes.iter().for_each(|note| super::note(&format!("{}: {note}", file.path().shown())));
    evaluator.set_weights(&weights)?;
    Ok((evaluator, width))
}
