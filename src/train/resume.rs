//! Resuming a run: finding its checkpoint, and checking that settings and images have not changed.

use std::num::NonZeroU16;
use std::path::{Path, is_separator};

use super::checkpoint::{CheckpointFile, Retention};
use super::folder::weights_file;
use super::recipe::Recipe;
use super::units::{Classes, PerChannel};
use super::{
    ConfigError, Difference, NotResumed, RunFolder, Settings, TrainError, picture_list, screen,
};
use crate::Error;
use crate::base::files::FileError;
use crate::base::sorting::sort_by_key;
use crate::data::{self, Dataset, HeldOut, Loaded, Progress, ReadOptions, Source, Stop};
use crate::nn::{ModelInfo, WeightsFile};

/// The settings that may change when a run is resumed. These settings do not change the results, with one exception:
/// results on another device differ by rounding.
pub const FREE: [&str; 5] = ["data-dir", "memory-limit", "recompute", "checkpoint-every", "device"];

/// The settings that follow from the images of a folder, unless flags set them.
const OF_IMAGES: [&str; 3] = ["classes", "mean", "std"];

/// A run that is resumed, or that begins anew.
pub struct Resumed {
    /// The run folder.
    pub folder: RunFolder,
    /// The settings.
    pub recipe: Recipe,
    /// The dataset.
    pub loaded: Loaded,
    /// The latest checkpoint; none if the run was stopped before its first checkpoint, and so begins anew.
    pub checkpoint: Option<CheckpointFile>,
    /// The weights file that a run without a checkpoint starts from; none for new weights.
    pub weights: Option<WeightsFile>,
}

/// Opens the folder of a run to resume it; the first rank locks it and writes into it. `flags` are the settings of the
/// command line. Only settings in [`FREE`] may differ from those of the run. `stop` ends the reading of pictures
/// early.
///
/// # Errors
/// If the path is not a run folder, or another process trains in it. [`TrainError::Resume`] if a setting or the dataset
/// has changed, or the folder has results but no checkpoint. [`TrainError::Checkpoint`] if the latest checkpoint is
/// damaged.
pub fn resume(
    path: &Path,
    flags: &Settings,
    is_first: bool,
    stop: Option<Stop<'_>>,
) -> Result<Resumed, Error> {
    let refused = |cause| TrainError::Resume { folder: path.to_path_buf(), cause };
    let (folder, file) = RunFolder::reopen(path, is_first)?;
    let checkpoint =
        Retention::latest(path)?.map(|path| CheckpointFile::read(&path)).transpose()?;
    let results = folder.results();
    if checkpoint.is_none() && !results.is_empty() {
        return Err(refused(NotResumed::NoCheckpoint { results }).into());
    }
    let mut settings = flags.clone().or(file.clone());
    let loaded = load(&settings, stop)?;
    // A checkpoint has the weights, so the weights file that the run started from is not read again.
    let weights = match &checkpoint {
        Some(_) => None,
        None => initial_weights(&mut settings)?,
    };
    let recipe = Recipe::resolve(&settings, &loaded.dataset)?;
    let before = match &checkpoint {
        Some(checkpoint) => completed(&checkpoint.header.config),
        None => Recipe::resolve(&file, &loaded.dataset)?.to_toml(),
    };
    let fingerprint = checkpoint.as_ref().map(|checkpoint| checkpoint.header.dataset);
    let has_same = fingerprint.map(|fingerprint| fingerprint == loaded.dataset.fingerprint());
    refuse_differences(path, &recipe.to_toml(), &before, has_same == Some(true))?;
    if has_same == Some(false) {
        let found = loaded.dataset.description.clone();
        let changes = picture_list::changes(path, &loaded.dataset);
        return Err(refused(NotResumed::Images { changes, found }).into());
    }
    let (data, data_dir) = (recipe.data, recipe.data_dir.clone());
    if is_first && (file.data, &file.data_dir) != (Some(data), &data_dir) {
        // The images have moved. Later commands find them at their present path.
        let before = Recipe::with_defaults(&file, data, None);
        folder.write_config(&Recipe { data, data_dir, ..before })?;
    }
    Ok(Resumed { folder, recipe, loaded, checkpoint, weights })
}

/// Checks that `flags` do not change the settings of a finished run, `file`. Does not read the dataset, which may have
/// been removed since.
///
/// # Errors
/// [`TrainError::Resume`] with each setting that differs.
pub fn check_finished(path: &Path, flags: &Settings, file: &Settings) -> Result<(), TrainError> {
    let toml = |settings: &Settings| {
        let source = match settings.data {
            None | Some(Source::Auto) => file.data.unwrap_or_default(),
            Some(source) => source,
        };
        Recipe::with_defaults(settings, source, settings.data_dir.as_deref()).to_toml()
    };
    refuse_differences(path, &toml(&flags.clone().or(file.clone())), &toml(file), false)
}

/// Returns the text of a `config.toml`, completed with the defaults of settings that an earlier version of the program
/// did not have. A text that is not a recipe is returned unchanged.
fn completed(config: &str) -> String {
    Recipe::parse(config).map_or_else(|_| config.to_string(), |recipe| recipe.to_toml())
}

/// Returns an error with the settings that differ between two `config.toml`; see [`differences`].
fn refuse_differences(
    path: &Path,
    now: &str,
    before: &str,
    has_same_images: bool,
) -> Result<(), TrainError> {
    let differences = differences(now, before, has_same_images);
    if differences.is_empty() {
        return Ok(());
    }
    let cause = NotResumed::Settings(differences);
    Err(TrainError::Resume { folder: path.to_path_buf(), cause })
}

/// Reads the weights file that the settings name; returns None if they name no file. Writes into the settings the
/// absolute path of the file, its SHA-256, and the network and width if the settings have none.
///
/// # Errors
/// As for [`WeightsFile::read`] and [`WeightsFile::network`]. [`TrainError::OtherWeights`] if the SHA-256 in the
/// settings is not that of the file.
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
    let network = file.network(settings.network, settings.width.map(|width| width.get().into()))?;
    settings.network = Some(network.network);
    settings.width = u16::try_from(network.width).ok().and_then(NonZeroU16::new);
    settings.weights = Some(path);
    if let Some(info) = file.info() {
        take_format(settings, info);
    }
    Ok(Some(file))
}

/// Writes into the settings the format of the images that the weights were trained on, where the settings have none: mean,
/// standard deviation and size of images with as many channels, and the names of the classes of a folder of pictures unless
/// the network has a new head.
fn take_format(settings: &mut Settings, info: &ModelInfo) {
    let source = settings.data.unwrap_or_default();
    let spec = source.dataset().spec(ReadOptions::default());
    let [height, width, channels] = info.image;
    if spec.size.channels != channels {
        return;
    }
    let numbers = |numbers: &[f64]| PerChannel::Numbers(numbers.to_vec());
    settings.mean.get_or_insert_with(|| numbers(&info.mean));
    settings.std.get_or_insert_with(|| numbers(&info.standard_deviation));
    let is_other = [height, width] != [spec.size.height, spec.size.width];
    if settings.image_size.is_none() && height == width && (is_other || source.is_folder()) {
        settings.image_size = u16::try_from(height).ok().and_then(NonZeroU16::new);
    }
    if source.is_folder() && settings.new_head != Some(true) {
        settings.classes.get_or_insert_with(|| Classes::Names(info.classes.clone()));
    }
}

/// Returns the dataset that the settings name, with its validation images held out. `stop` ends the reading of pictures
/// early.
///
/// # Errors
/// If the images cannot be read, or no training images are left beside the validation images.
pub fn load(settings: &Settings, stop: Option<Stop<'_>>) -> Result<Loaded, Error> {
    let source = settings.data.unwrap_or_default();
    let options = Recipe::with_defaults(settings, source, None).read_options();
    let options = ReadOptions { progress: Some(Progress(screen::decoded)), stop, ..options };
    let mut loaded = data::load(source, settings.data_dir.as_deref(), options)?;
    if let Some(classes) = &settings.classes {
        name_classes(&mut loaded.dataset, classes)?;
    }
    hold_out(&mut loaded.dataset, settings)?;
    Ok(loaded)
}

/// Gives the classes of the dataset the names of the setting `classes`. A number keeps the names. The classes of a folder
/// have names of their own, unless they are numbers, so each gets the label that its name has in the setting.
///
/// # Errors
/// If the dataset has another number of classes, or a folder has a class with another name.
fn name_classes(dataset: &mut Dataset, classes: &Classes) -> Result<(), ConfigError> {
    let is_folder = Source::from_name(dataset.name).is_ok_and(Source::is_folder);
    if let Classes::Names(names) = classes
        && is_folder
    {
        if dataset.relabel(names) {
            return Ok(());
        }
        let others = || dataset.spec.classes.iter().filter(|name| !names.contains(name));
        if let Some(other) = others().find(|name| name.parse::<u64>().is_err()) {
            let (setting, value) = ("classes", classes.to_string());
            let must = format!(
                "have {other:?}, a class of the folder; rename the class, or use --new-head with weights of other classes"
            );
            return Err(ConfigError::Value { setting, value, must });
        }
    }
    let names = classes.names(dataset.spec.n_classes()).map_err(|must| ConfigError::Value {
        setting: "classes",
        value: classes.to_string(),
        must,
    })?;
    if !matches!(classes, Classes::Number(_)) {
        dataset.spec.classes = names;
    }
    Ok(())
}

/// Holds out the validation images of the settings.
///
/// # Errors
/// If no training images are left.
pub fn hold_out(dataset: &mut Dataset, settings: &Settings) -> Result<(), ConfigError> {
    let n_images = dataset.train.len();
    let validation = settings.validation.unwrap_or(HeldOut::NONE);
    // The reader of a folder holds out pictures by the hashes of their paths.
    let is_folder = Source::from_name(dataset.name).is_ok_and(Source::is_folder);
    match usize::try_from(validation.of(n_images)) {
        _ if is_folder && dataset.evaluated().is_empty() => {
            let by_default = settings.validation.is_none();
            let value = if by_default { "0.1 (default)".into() } else { validation.to_string() };
            let setting = "validation";
            let must = format!(
                "be a part that has at least one of the {n_images} pictures, for the folder has neither validation nor \
                 test pictures; 0.1 is usual, and 1 is one picture"
            );
            return Err(ConfigError::Value { setting, value, must });
        }
        _ if is_folder => {}
        Ok(0) => {}
        Ok(n) if n < n_images => dataset.hold_out(n),
        _ => return Err(ConfigError::Validation { validation, n_images }),
    }
    Ok(())
}

/// Returns the settings that differ between two `config.toml`, except those in [`FREE`]. Other images come first, without
/// the settings that follow from them. `has_same_images` is true if the images are certainly the same.
fn differences(now: &str, before: &str, has_same_images: bool) -> Vec<Difference> {
    let parse = |text: &str| text.parse::<toml::Table>().unwrap_or_default();
    let (now, before) = (parse(now), parse(before));
    let differs = |key: &str| now.get(key) != before.get(key);
    // A folder of pictures may have moved. Its images then have the same mean.
    let is_path = |value: Option<&toml::Value>| {
        value.and_then(toml::Value::as_str).is_some_and(|text| text.contains(is_separator))
    };
    let is_moved = is_path(now.get("data"))
        && is_path(before.get("data"))
        && (has_same_images || !OF_IMAGES.iter().any(|key| differs(key)));
    let is_other = differs("data") && !is_moved;
    let is_free = |key: &str| match key {
        "data" => is_moved,
        _ => FREE.contains(&key) || (is_other && OF_IMAGES.contains(&key)),
    };
    let keys = now.keys().chain(before.keys().filter(|key| !now.contains_key(*key)));
    let mut keys: Vec<_> = keys.filter(|key| !is_free(key) && differs(key)).collect();
    sort_by_key(&mut keys, |key| *key != "data");
    let difference = |key: &String| Difference {
        key: key.clone(),
        now: now.get(key).cloned(),
        before: before.get(key).cloned(),
    };
    keys.into_iter().map(difference).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_an_earlier_version_did_not_have_are_not_different() {
        let now = Recipe::parse("batch-size = 64\nwidth = 8").expect("a recipe").to_toml();
        let new = ["network", "schedule"];
        let is_old = |line: &&str| !new.iter().any(|key| line.starts_with(key));
        let before: String = now.lines().filter(is_old).map(|line| format!("{line}\n")).collect();
        assert_eq!(differences(&now, &before, true).len(), new.len());
        assert!(differences(&now, &completed(&before), true).is_empty());
        assert_eq!(completed("no recipe"), "no recipe");
    }

    #[test]
    fn each_difference_has_its_setting_and_both_values() {
        let before = "max-lr = 0.01\nepochs = 24\nmemory-limit = '1GiB'\npatience = 3\n";
        assert!(differences(before, before, true).is_empty());
        let now = "max-lr = 0.02\nepochs = 24\nvalidation = 5\nno-crop = true\n";
        let found = differences(now, before, true);
        assert_eq!(
            found.iter().map(Difference::to_string).collect::<Vec<_>>(),
            [
                "max-lr is 0.02, but was 0.01",
                "no-crop is true, but was not set",
                "validation is 5, but was not set",
                "patience is not set, but was 3"
            ]
        );
    }

    #[test]
    fn other_images_come_before_the_other_settings() {
        let folder = |name: &str, mean: &str, epochs: u32| {
            let data = Path::new("/photos").join(name);
            format!(
                "classes = 'a,b'\ndata = '{}'\nepochs = {epochs}\nmean = '{mean}'",
                data.display()
            )
        };
        let before = folder("a", "0.5", 3);
        let found = |now: &str, has_same_images| {
            let found = differences(now, &before, has_same_images);
            found.into_iter().map(|difference| difference.key).collect::<Vec<_>>()
        };
        assert!(found(&folder("b", "0.5", 3), false).is_empty(), "the folder has moved");
        assert_eq!(found(&folder("b", "0.4", 2), false), ["data", "epochs"]);
        assert_eq!(found(&folder("b", "0.4", 3), true), ["mean"], "a flag of a moved folder");
        assert_eq!(found(&folder("a", "0.4", 3), false), ["mean"]);
        assert_eq!(
            found("classes = 'a,b'\ndata = 'shapes'\nepochs = 2", false),
            ["data", "epochs"]
        );
    }
}
