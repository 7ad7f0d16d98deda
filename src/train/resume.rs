//! Going on with a run that has stopped: what must be as it was, and where it goes on from.

use std::path::Path;

use super::checkpoint::{CheckpointFile, Keeper};
use super::recipe::{Recipe, SHAPES_SEED};
use super::{RunFolder, Settings};
use crate::data::{self, Loaded};
use crate::error::Error;

/// Settings that may differ from those that the run began with: they change no bit of what it comes to.
const FREE: [&str; 3] = ["data-dir", "memory-limit", "checkpoint-every"];

/// A run that goes on.
pub struct Resumed {
    /// Its folder.
    pub folder: RunFolder,
    /// Its settings.
    pub recipe: Recipe,
    /// Its images.
    pub loaded: Loaded,
    /// Where it was; none when it was stopped before it had a checkpoint, and begins anew.
    pub checkpoint: Option<CheckpointFile>,
}

/// Opens a run folder to go on with the run. `flags` are settings of now, which must not change what
/// the run computes.
///
/// # Errors
/// When the folder holds no run, or another process trains in it; [`Error::Resume`] when a setting or the
/// dataset is not what it was, naming it; [`Error::Checkpoint`] when the latest checkpoint is damaged.
pub fn resume(path: &Path, flags: &Settings) -> Result<Resumed, Error> {
    let refused = |reason| Error::Resume { folder: path.to_path_buf(), reason };
    let (folder, file) = RunFolder::reopen(path)?;
    let settings = flags.clone().or(file.clone());
    let loaded = load(&settings)?;
    let recipe = Recipe::resolve(&settings, &loaded.dataset)?;
    let checkpoint = Keeper::latest(path)?.map(|path| CheckpointFile::read(&path)).transpose()?;
    let before = match &checkpoint {
        Some(checkpoint) => checkpoint.header.config.clone(),
        None => Recipe::resolve(&file, &loaded.dataset)?.to_toml(),
    };
    let differences = differences(&recipe.to_toml(), &before);
    if !differences.is_empty() {
        return Err(refused(differences.join("; ")));
    }
    if let Some(checkpoint) = &checkpoint
        && checkpoint.header.dataset != loaded.dataset.fingerprint()
    {
        let dataset = &loaded.dataset.description;
        return Err(refused(format!("the images are not those that it began with ({dataset})")));
    }
    Ok(Resumed { folder, recipe, loaded, checkpoint })
}

/// The images that settings ask for.
///
/// # Errors
/// When they cannot be read, or fewer are there than are to be held out.
pub fn load(settings: &Settings) -> Result<Loaded, Error> {
    let source = settings.data.unwrap_or_default();
    let mut loaded = data::load(source, settings.data_dir.as_deref(), SHAPES_SEED)?;
    let n_images = loaded.dataset.train.len();
    match settings.validation.map(usize::try_from) {
        None | Some(Ok(0)) => {}
        Some(Ok(n)) if n < n_images => loaded.dataset.hold_out(n),
        Some(_) => {
            let message = format!("--validation must be below the {n_images} training images");
            return Err(Error::Config(message));
        }
    }
    Ok(loaded)
}

/// What differs between two files of settings, in words.
fn differences(now: &str, before: &str) -> Vec<String> {
    let parse = |text: &str| text.parse::<toml::Table>().unwrap_or_default();
    let (now, before) = (parse(now), parse(before));
    let keys = now.keys().chain(before.keys().filter(|key| !now.contains_key(*key)));
    let keys =
        keys.filter(|key| !FREE.contains(&key.as_str()) && now.get(*key) != before.get(*key));
    let text =
        |value: Option<&toml::Value>| value.map_or("not set".to_string(), ToString::to_string);
    keys.map(|key| format!("{key} is {}, and was {}", text(now.get(key)), text(before.get(key))))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_named() {
        let before = "max-lr = 0.01\nepochs = 24\nmemory-limit = '1GiB'\npatience = 3\n";
        assert!(differences(before, before).is_empty());
        let now = "max-lr = 0.02\nepochs = 24\nvalidation = 5\n";
        assert_eq!(
            differences(now, before),
            [
                "max-lr is 0.02, and was 0.01",
                "validation is 5, and was not set",
                "patience is not set, and was 3"
            ]
        );
    }
}
