//! The images on which trained weights are measured: the dataset that the weights were trained on, unless flags name
//! another dataset.

use std::path::{Path, PathBuf};

use super::{Recipe, Settings, folder, picture_list, screen};
use crate::Error;
use crate::base::shown::Shown;
use crate::data::{self, Dataset, HeldOut, Loaded, Progress, ReadOptions, Source};
use crate::nn::{ModelInfo, WeightsFile};
use crate::train::TrainError;

/// The images on which weights are measured.
pub struct Images {
    /// The dataset.
    pub loaded: Loaded,
    /// A sentence for the standard error if the images are not from the dataset that the weights were trained on, or
    /// the weights have no record of that dataset.
    pub note: Option<String>,
}

/// Returns the images on which weights are measured. `data` and `data_dir` are the values of the flags `--data` and
/// `--data-dir`, and `n_classes` is the number of classes of the network. The images are resized to `side` rows and columns;
/// None for the size that the weights record, else the size in the files.
///
/// * With a flag: the dataset that the flags name, with a note if the weights were trained on another dataset.
/// * Without flags: the dataset that the weights were trained on. If it has files, these folders are searched: the
///   folder in the `config.toml` beside the weights, the folder in `$WGRAD_DATA`, and the default folder. Folders that
///   do not hold this dataset are skipped.
/// * For weights without a record of their dataset: the dataset of the flags or the default dataset, with a note.
///
/// # Errors
/// [`Error::Data`] if images cannot be read. [`TrainError::TrainingData`] if the dataset that the weights were trained
/// on is not found, or the dataset has another number of classes than the network.
pub fn find(
    weights: &WeightsFile,
    data: Option<Source>,
    data_dir: Option<&Path>,
    n_classes: usize,
    side: Option<usize>,
) -> Result<Images, Error> {
    let recorded = weights.info().map(|info| info.image[0]);
    let sized = |options: ReadOptions<'static>, source: Source, side: Option<usize>| {
        let of_folder = recorded.filter(|_| source.is_folder());
        ReadOptions { side: side.or(of_folder).or(options.side), ..options }
    };
    let load = |source: Source| {
        let options = read_options(weights.path(), source, n_classes);
        let loaded = data::load(source, data_dir, sized(options, source, side))?;
        let is_trained = |info: &ModelInfo| loaded.dataset.whole_fingerprint() == info.fingerprint;
        if !source.is_folder() || weights.info().is_none_or(is_trained) {
            return Ok(loaded);
        }
        // Other pictures than those of the training: all of them are new to the network.
        let undivided = ReadOptions { held_out: Some(HeldOut::NONE), ..options };
        data::load(source, data_dir, sized(undivided, source, side))
    };
    let Some(info) = weights.info() else {
        let loaded = load(data.unwrap_or_default())?;
        let (file, data) = (weights.path().shown(), loaded.dataset.name);
        let note = Some(format!(
            "{file} does not record the data that it was trained on; measured on {data}"
        ));
        return Ok(Images { loaded, note });
    };
    let is_folder =
        |loaded: &Loaded| Source::from_name(loaded.dataset.name).is_ok_and(Source::is_folder);
    let refused =
        |reason| TrainError::TrainingData { weights: weights.path().to_path_buf(), reason };
    let mut images = match (data, data_dir) {
        (None, None) => {
            let loaded = of_training(weights.path(), info, side).map_err(refused)?;
            Images { loaded, note: None }
        }
        _ => {
            let loaded = load(data.unwrap_or_default())?;
            let note = difference(info, &loaded.dataset);
            Images { loaded, note }
        }
    };
    if is_folder(&images.loaded) && !images.loaded.dataset.relabel(&info.classes) {
        let is_known = |name: &&String| info.classes.contains(name);
        let unknown = images.loaded.dataset.spec.classes.iter().find(|name| !is_known(name));
        let (unknown, known) = (unknown.cloned().unwrap_or_default(), info.classes.join(", "));
        let reason = format!(
            "the class {unknown:?} of the pictures is not a class of the network, whose classes are {known}"
        );
        return Err(refused(reason).into());
    }
    // The network reads images of the size of its training, unless a flag names another size.
    let is_other = images.loaded.dataset.spec.size.channels_last() != info.image;
    let side = side.or(is_other.then_some(info.image[0]));
    images.loaded.dataset = images.loaded.dataset.resized(side);
    let (n, n_trained) = (images.loaded.dataset.spec.n_classes(), info.classes.len());
    match n == n_trained {
        true => {
            if images.note.is_none() {
                // The dataset in the folder may have other class names. The class names from the training are used
                // instead.
                images.loaded.dataset.spec.classes.clone_from(&info.classes);
            }
            Ok(images)
        }
        false => {
            Err(refused(format!("the network has {n_trained} classes, but the data has {n}"))
                .into())
        }
    }
}

/// Returns a sentence that names both the dataset and the training data of the weights; none if they are the same.
pub fn difference(info: &ModelInfo, dataset: &Dataset) -> Option<String> {
    let found = dataset.whole_fingerprint();
    let (description, trained, fingerprint) = (&dataset.description, &info.data, info.fingerprint);
    (found != fingerprint).then(|| {
        format!(
            "not the data of the training: the weights were trained on {trained} ({fingerprint}), but these are \
             {description} ({found})"
        )
    })
}

/// Returns the dataset that the weights were trained on.
///
/// # Errors
/// If the dataset is not found. The error is the reason, in words.
fn of_training(weights: &Path, info: &ModelInfo, side: Option<usize>) -> Result<Loaded, String> {
    let trained = format!("it was trained on {} ({})", info.data, info.fingerprint);
    let is_it = |loaded: &Loaded| loaded.dataset.whole_fingerprint() == info.fingerprint;
    let Ok(source) = Source::from_name(&info.data) else {
        return Err(format!("{trained}, but this version of wgrad has no dataset {:?}", info.data));
    };
    let dataset = source.dataset();
    let options = read_options(weights, source, info.classes.len());
    let load = |folder: Option<&Path>| data::load(source, folder, options);
    if source.is_folder() {
        let side = side.or(Some(info.image[0]));
        let load = |folder| data::load(source, folder, ReadOptions { side, ..options });
        let loaded = load(None).map_err(|error| format!("{trained}: {error}"))?;
        if is_it(&loaded) {
            return Ok(loaded);
        }
        let run = weights.parent().unwrap_or(Path::new(""));
        let changes = picture_list::changes(run, &loaded.dataset);
        let changes = changes.map_or(String::new(), |changes| format!(": {changes}"));
        return Err(format!("{trained}, but the pictures there have changed since{changes}"));
    }
    if dataset.files().is_none() {
        let other = || format!("{trained}, but this version of wgrad draws other {}", info.data);
        return load(None).ok().filter(is_it).ok_or_else(other);
    }
    let mut places = Vec::new();
    for folder in folders(weights, source) {
        let place = folder.shown();
        match load(Some(&folder)) {
            Ok(loaded) if is_it(&loaded) => return Ok(loaded),
            Ok(_) => places.push(format!("{place} holds other images")),
            Err(_) if !folder.exists() => places.push(format!("{place} is not there")),
            Err(error) => places.push(error.to_string()),
        }
    }
    Err(format!("{trained}, which was not found: {}", places.join(", ")))
}

/// Returns the options with which a dataset is read to measure weights on it. A folder of pictures is divided as in the run
/// of the weights, if their settings are beside them.
fn read_options(weights: &Path, source: Source, n_classes: usize) -> ReadOptions<'static> {
    if !source.is_folder() {
        return source.dataset().options(n_classes);
    }
    let of_run = Settings::of_run(&weights.with_file_name(folder::CONFIG)).ok();
    let options = match of_run.filter(|settings| settings.data.is_some_and(Source::is_folder)) {
        Some(settings) => Recipe::with_defaults(&settings, source, None).read_options(),
        None => ReadOptions::default(),
    };
    let progress = Some(Progress(screen::decoded));
    ReadOptions { whole_pictures: false, progress, ..options }
}

/// Returns the folders to search for a dataset, in the order of the search.
fn folders(weights: &Path, source: Source) -> Vec<PathBuf> {
    let of_run = Settings::read(&weights.with_file_name(folder::CONFIG)).ok();
    let of_run = of_run.and_then(|settings| settings.data_dir);
    of_run.into_iter().chain(data::usual_folders(source.dataset())).collect()
}
