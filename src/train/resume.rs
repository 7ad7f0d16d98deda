//! Going on with a run that has stopped: the settings that must be as they were, and the place that it goes on
//! from.

use std::fmt;
use std::num::NonZeroU16;
use std::path::Path;

use super::checkpoint::{CheckpointFile, Retention};
use super::folder::{CONFIG, weights_file};
use super::recipe::{Recipe, SHAPES_SEED};
use super::{RunFolder, Settings};
use crate::base::shown::Shown;
use crate::data::{self, Dataset, Loaded, Source};
use crate::error::Error;
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
/// When the folder holds no run, or another process trains in it; [`Error::Resume`] when a setting or the
/// dataset is not what it was, naming it, or when there are results and no checkpoint; [`Error::Checkpoint`]
/// when the latest checkpoint is damaged.
pub fn resume(path: &Path, flags: &Settings) -> Result<Resumed, Error> {
    let refused = |reason, hint| Error::Resume { folder: path.to_path_buf(), reason, hint };
    let (folder, file) = RunFolder::reopen(path)?;
    let checkpoint =
        Retention::latest(path)?.map(|path| CheckpointFile::read(&path)).transpose()?;
    let results = folder.results();
    if checkpoint.is_none() && !results.is_empty() {
        let reason =
            format!("it has no checkpoint to go on from, and results: {}", results.join(", "));
        let hint = format!("{} begins a run from its weights", begin_from(path, ""));
        return Err(refused(reason, hint));
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
        let dataset = &loaded.dataset.description;
        let hint = "--data-dir names the folder with those images, wherever it is now".to_string();
        let reason = format!("the images are not those that it began with ({dataset})");
        return Err(refused(reason, hint));
    }
    Ok(Resumed { folder, recipe, loaded, checkpoint, weights })
}

/// Checks that flags are those of a finished run, given the settings in its folder. Its data may be gone.
///
/// # Errors
/// [`Error::Resume`], naming each setting that differs.
pub fn check_finished(path: &Path, flags: &Settings, file: &Settings) -> Result<(), Error> {
    let toml = |settings: &Settings| {
        let source = match settings.data {
            None | Some(Source::Auto) => file.data.unwrap_or_default(),
            Some(source) => source,
        };
        Recipe::with_defaults(settings, source, settings.data_dir.as_deref()).to_toml()
    };
    refuse_differences(path, &toml(&flags.clone().or(file.clone())), &toml(file))
}

/// The command, in backticks, that begins a run with the settings and the weights of the one in a folder, and with
/// other `flags`.
pub fn begin_from(path: &Path, flags: &str) -> String {
    let name = quoted(path);
    match RunFolder::finished(path) {
        Some(_) => format!("`wgrad train --another-cycle {name}{flags}`"),
        None => {
            let config = quoted(&path.join(CONFIG));
            format!("`wgrad train --config {config} --weights {name}{flags}`")
        }
    }
}

/// A path as a shell reads it.
fn quoted(path: &Path) -> String {
    let shown = path.shown();
    let is_plain = |c: char| c.is_alphanumeric() || "_-./+=:@%".contains(c);
    match shown.chars().all(is_plain) {
        true => shown,
        false => format!("'{}'", shown.replace('\'', "'\\''")),
    }
}

/// Refuses settings that are not as they were, naming each.
fn refuse_differences(path: &Path, now: &str, before: &str) -> Result<(), Error> {
    let differences = differences(now, before);
    if differences.is_empty() {
        return Ok(());
    }
    let words: Vec<_> = differences.iter().map(Difference::to_string).collect();
    // Weights are what a run begins with; no flag gives them to one that goes on.
    let (weights, others): (Vec<_>, Vec<_>) =
        differences.iter().partition(|difference| difference.key.starts_with("weights"));
    let flags: String = others.iter().filter_map(|difference| difference.flag()).collect();
    let begin = match weights.is_empty() {
        true => format!(
            "{} begins a run with these settings, from its weights",
            begin_from(path, &flags)
        ),
        false => "another --out begins a run from other weights".to_string(),
    };
    let hint = format!("{begin}; to go on with this one, put back what was changed");
    Err(Error::Resume { folder: path.to_path_buf(), reason: words.join("; "), hint })
}

/// Reads the weights that settings name to start from. Completes the settings: the file's absolute path, its
/// SHA-256, and the network's width, where nothing else gives it.
///
/// # Errors
/// As for [`WeightsFile::read`]; [`Error::UnusableWeights`] when the file's SHA-256 is not the one in the settings.
pub fn initial_weights(settings: &mut Settings) -> Result<Option<WeightsFile>, Error> {
    let Some(path) = &settings.weights else { return Ok(None) };
    let path = weights_file(path);
    let path = path.canonicalize().map_err(Error::io(&path))?;
    let file = WeightsFile::read(&path)?;
    let sha256 = file.sha256();
    match &settings.weights_sha256 {
        Some(expected) if !expected.eq_ignore_ascii_case(&sha256) => {
            let reason = format!("its SHA-256 is {sha256}, and the settings say {expected}");
            return Err(Error::UnusableWeights { path, reason });
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

/// Holds out the training images that `--validation` asks for.
///
/// # Errors
/// When fewer are there.
pub fn hold_out(dataset: &mut Dataset, settings: &Settings) -> Result<(), Error> {
    let n_images = dataset.train.len();
    match settings.validation.map(usize::try_from) {
        None | Some(Ok(0)) => {}
        Some(Ok(n)) if n < n_images => dataset.hold_out(n),
        Some(_) => {
            let message = format!("--validation must be below the {n_images} training images");
            return Err(Error::Config(message));
        }
    }
    Ok(())
}

/// A setting that is not as it was, `None` where it is not set.
struct Difference {
    key: String,
    now: Option<toml::Value>,
    before: Option<toml::Value>,
}

impl Difference {
    /// The flag that gives the setting its value of now, with a space in front; none where it is not set.
    fn flag(&self) -> Option<String> {
        let value = self.now.as_ref()?;
        Some(match value {
            toml::Value::Boolean(_) => format!(" --{}={value}", self.key),
            _ => format!(" --{} {value}", self.key),
        })
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |value: &Option<toml::Value>| {
            value.as_ref().map_or("not set".to_string(), ToString::to_string)
        };
        write!(f, "{} is {}, and was {}", self.key, text(&self.now), text(&self.before))
    }
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
        let flags: String = found.iter().filter_map(Difference::flag).collect();
        assert_eq!(flags, " --max-lr 0.02 --no-crop=true --validation 5");
    }
}
