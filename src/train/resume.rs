//! Going on with a run that has stopped: the settings that must be as they were, and the place that it goes on
//! from.

use std::num::NonZeroU16;
use std::path::Path;

use super::checkpoint::{CheckpointFile, Retention};
use super::folder::weights_file;
use super::recipe::{Recipe, SHAPES_SEED};
use super::{ConfigError, Difference, NotResumed, RunFolder, Settings, TrainError};
use crate::Error;
use crate::base::files::FileError;
use crate::data::{self, Dataset, Loaded, Source};
use crate::nn::WeightsFile;

/// Settings that may differ from those that the run began with: they change no bit of its results, or, like the
/// device, change them by rounding alone, which a note says.
pub const FREE: [&str; 4] = ["data-dir", "memory-limit", "checkpoint-every", "device"];

/// A run that goes on, or begins.
pub struct Resumed {
    /// Its folder.
    pub folder: RunFolder,
    /// Its settings.
    pub recipe: Recipe,
    /// Its images.
    pub loaded: Loaded,
    /// Where it was; none when it was stopped before it had a checkpoint, and begins anew.
    pub checkpoint: Option<CheckpointFile>,
    /// The weights that it starts from, if it begins with those of a file.
    pub weights: Option<WeightsFile>,
}

/// Opens a run folder to go on with the run. `flags` are settings of now, which must not change what
/// the run computes.
///
/// # Errors
/// If the folder holds no run, or another process trains in it; [`TrainError::Resume`] when a setting or the
/// dataset is not what it was, or when there are results and no checkpoint; [`TrainError::Checkpoint`] when the
/// latest checkpoint is damaged.
pub fn resume(path: &Path, flags: &Settings) -> Result<Resumed, Error> {
    let refused = |cause| TrainError::Resume { folder: path.to_path_buf(), cause };
    let (folder, file) = RunFolder::reopen(path)?;
    let checkpoint =
        Retention::latest(path)?.map(|path| CheckpointFile::read(&path)).transpose()?;
    let results = folder.results();
    if checkpoint.is_none() && !results.is_empty() {
        return Err(refused(NotResumed::NoCheckpoint { results }).into());
    }
    let mut settings = flags.clone().or(file.clone());
    let loaded = load(&settings)?;
    // The weights that it started from are part of the checkpoint.
    let weights = match &checkpoint {
        Some(_) => None,
        None => initial_weights(&mut settings)?,
    };
    let recipe = Recipe::resolve(&settings, &loaded.dataset)?;
    let before = match &checkpoint {
        Some(checkpoint) => checkpoint.header.config.clone(),
        None => Recipe::resolve(&file, &loaded.dataset)?.to_toml(),
    };
    refuse_differences(path, &recipe.to_toml(), &before)?;
    if let Some(checkpoint) = &checkpoint
        && checkpoint.header.dataset != loaded.dataset.fingerprint()
    {
        let found = loaded.dataset.description.clone();
        return Err(refused(NotResumed::Images { found }).into());
    }
    Ok(Resumed { folder, recipe, loaded, checkpoint, weights })
}

/// Checks that flags are those of a finished run, given the settings in its folder. Its data may be gone.
///
/// # Errors
/// [`TrainError::Resume`], naming each setting that differs.
pub fn check_finished(path: &Path, flags: &Settings, file: &Settings) -> Result<(), TrainError> {
    let toml = |settings: &Settings| {
        let source = match settings.data {
            None | Some(Source::Auto) => file.data.unwrap_or_default(),
            Some(source) => source,
        };
        Recipe::with_defaults(settings, source, settings.data_dir.as_deref()).to_toml()
    };
    refuse_differences(path, &toml(&flags.clone().or(file.clone())), &toml(file))
}

/// Refuses settings that are not as they were, naming each.
fn refuse_differences(path: &Path, now: &str, before: &str) -> Result<(), TrainError> {
    let differences = differences(now, before);
    if differences.is_empty() {
        return Ok(());
    }
    let cause = NotResumed::Settings(differences);
    Err(TrainError::Resume { folder: path.to_path_buf(), cause })
}

/// Reads the weights that settings name to start from. Completes the settings: the file's absolute path, its
/// SHA-256, and the network's width, where nothing else gives it.
///
/// # Errors
/// As for [`WeightsFile::read`]; [`TrainError::OtherWeights`] when the file's SHA-256 is not the one in the settings.
pub fn initial_weights(settings: &mut Settings) -> Result<Option<WeightsFile>, Error> {
    let Some(path) = &settings.weights else { return Ok(None) };
    let path = weights_file(path);
    let path = path.canonicalize().map_err(FileError::at(&path))?;
    let file = WeightsFile::read(&path)?;
    let sha256 = file.sha256();
    match &settings.weights_sha256 {
        Some(expected) if !expected.eq_ignore_ascii_case(&sha256) => {
            let expected = expected.clone();
            return Err(TrainError::OtherWeights { path, found: sha256, expected }.into());
        }
        _ => settings.weights_sha256 = Some(sha256),
    }
    let width =
        file.width().and_then(|width| NonZeroU16::try_from(u16::try_from(width).ok()?).ok());
    settings.width = settings.width.or(width);
    settings.weights = Some(path);
    Ok(Some(file))
}

/// The images that settings ask for.
///
/// # Errors
/// When they cannot be read, or fewer are there than are to be held out.
pub fn load(settings: &Settings) -> Result<Loaded, Error> {
    let source = settings.data.unwrap_or_default();
    let mut loaded = data::load(source, settings.data_dir.as_deref(), SHAPES_SEED)?;
    hold_out(&mut loaded.dataset, settings)?;
    Ok(loaded)
}

/// Holds out as many training images as the settings say.
///
/// # Errors
/// When fewer are there.
pub fn hold_out(dataset: &mut Dataset, settings: &Settings) -> Result<(), ConfigError> {
    let n_images = dataset.train.len();
    match settings.validation.map(usize::try_from) {
        None | Some(Ok(0)) => {}
        Some(Ok(n)) if n < n_images => dataset.hold_out(n),
        Some(_) => {
            let validation = settings.validation.unwrap_or_default();
            return Err(ConfigError::Validation { validation, n_images });
        }
    }
    Ok(())
}

/// The settings that differ between two files of them.
fn differences(now: &str, before: &str) -> Vec<Difference> {
    let parse = |text: &str| text.parse::<toml::Table>().unwrap_or_default();
    let (now, before) = (parse(now), parse(before));
    let keys = now.keys().chain(before.keys().filter(|key| !now.contains_key(*key)));
    let keys =
        keys.filter(|key| !FREE.contains(&key.as_str()) && now.get(*key) != before.get(*key));
    let difference = |key: &String| Difference {
        key: key.clone(),
        now: now.get(key).cloned(),
        before: before.get(key).cloned(),
    };
    keys.map(difference).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_named() {
        let before = "max-lr = 0.01\nepochs = 24\nmemory-limit = '1GiB'\npatience = 3\n";
        assert!(differences(before, before).is_empty());
        let now = "max-lr = 0.02\nepochs = 24\nvalidation = 5\nno-crop = true\n";
        let found = differences(now, before);
        assert_eq!(
            found.iter().map(Difference::to_string).collect::<Vec<_>>(),
            [
                "max-lr is 0.02, and was 0.01",
                "no-crop is true, and was not set",
                "validation is 5, and was not set",
                "patience is not set, and was 3"
            ]
        );
    }
}
