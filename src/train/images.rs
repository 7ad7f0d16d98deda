//! The images that trained weights are measured on: those that they were trained on, unless flags name others.

use std::path::{Path, PathBuf};

use super::recipe::SHAPES_SEED;
use super::{Settings, folder};
use crate::Error;
use crate::base::shown::Shown;
use crate::data::{self, Dataset, Loaded, Source};
use crate::nn::{ModelInfo, WeightsFile};
use crate::train::TrainError;

/// Images to measure weights on.
pub struct Images {
    /// The images.
    pub loaded: Loaded,
    /// A sentence for the standard error, where they are not known to be of the data that the weights were
    /// trained on.
    pub note: Option<String>,
}

/// Finds the images to measure weights on. `data` and `data_dir` are the flags.
///
/// * With a flag, those that it names, with a note if they are others than those of the training.
/// * Without flags, those of the training. CIFAR-10 is looked for where the `config.toml` beside the weights says
///   that the run read it, in the folder that `$WGRAD_DATA` names, and in the default one; a folder with other
///   images than those of the training is passed over.
/// * For weights without a record of their data, those that the flags or the defaults name, with a note.
///
/// # Errors
/// [`Error::Data`] when images cannot be read; [`TrainError::TrainingData`] when those of the training are not found,
/// or those that were found have another number of classes.
pub fn find(
    weights: &WeightsFile,
    data: Option<Source>,
    data_dir: Option<&Path>,
) -> Result<Images, Error> {
    let Some(info) = weights.info() else {
        let loaded = data::load(data.unwrap_or_default(), data_dir, SHAPES_SEED)?;
        let (file, data) = (weights.path().shown(), loaded.dataset.name);
        let note = Some(format!(
            "{file} does not record the data that it was trained on; measured on {data}"
        ));
        return Ok(Images { loaded, note });
    };
    let refused =
        |reason| TrainError::TrainingData { weights: weights.path().to_path_buf(), reason };
    let mut images = match (data, data_dir) {
        (None, None) => {
            let loaded = of_training(weights.path(), info).map_err(refused)?;
            Images { loaded, note: None }
        }
        _ => {
            let loaded = data::load(data.unwrap_or_default(), data_dir, SHAPES_SEED)?;
            let note = difference(info, &loaded.dataset);
            Images { loaded, note }
        }
    };
    let (n, n_trained) = (images.loaded.dataset.classes.len(), info.classes.len());
    match n == n_trained {
        true => {
            if images.note.is_none() {
                // The names may be written otherwise beside the same images.
                images.loaded.dataset.classes.clone_from(&info.classes);
            }
            Ok(images)
        }
        false => {
            Err(refused(format!("it tells {n_trained} classes apart, and the data has {n}")).into())
        }
    }
}

/// The difference between some images and those that weights were trained on, as a sentence; none if they are the
/// same.
pub fn difference(info: &ModelInfo, dataset: &Dataset) -> Option<String> {
    let found = dataset.whole_fingerprint();
    let (description, trained, fingerprint) = (&dataset.description, &info.data, info.fingerprint);
    (found != fingerprint).then(|| {
        format!(
            "not the data of the training: the weights were trained on {trained} ({fingerprint}), and these are \
             {description} ({found})"
        )
    })
}

/// The images that weights were trained on.
///
/// # Errors
/// The reason why they are not to be had.
fn of_training(weights: &Path, info: &ModelInfo) -> Result<Loaded, String> {
    let trained = format!("it was trained on {} ({})", info.data, info.fingerprint);
    let is_it = |loaded: &Loaded| loaded.dataset.whole_fingerprint() == info.fingerprint;
    let load = |source, folder: Option<&Path>| data::load(source, folder, SHAPES_SEED);
    match info.data.as_str() {
        "shapes" => load(Source::Shapes, None)
            .ok()
            .filter(is_it)
            .ok_or_else(|| format!("{trained}, and this version of wgrad draws other shapes")),
        "cifar10" => {
            let mut places = Vec::new();
            for folder in folders(weights) {
                let place = folder.shown();
                match load(Source::Cifar10, Some(&folder)) {
                    Ok(loaded) if is_it(&loaded) => return Ok(loaded),
                    Ok(_) => places.push(format!("{place} holds other images")),
                    Err(_) if !folder.exists() => places.push(format!("{place} is not there")),
                    Err(error) => places.push(error.to_string()),
                }
            }
            Err(format!("{trained}, which was not found: {}", places.join(", ")))
        }
        other => Err(format!("{trained}, and {other:?} is not a data set of this version")),
    }
}

/// The folders in which CIFAR-10 is looked for, the likeliest first.
fn folders(weights: &Path) -> Vec<PathBuf> {
    let of_run = Settings::read(&weights.with_file_name(folder::CONFIG)).ok();
    let of_run = of_run.and_then(|settings| settings.data_dir);
    of_run.into_iter().chain(data::usual_folders()).collect()
}
