//! The run folder and its files. `docs/run_folder.md` describes them.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::metrics::EpochMetrics;
use super::recipe::Recipe;
use super::settings::Settings;
use super::{lr_find, picture_list};
use crate::Error;
use crate::base::files::{self, FileError};
use crate::train::TrainError;

/// Name of the file with the resolved settings.
pub const CONFIG: &str = "config.toml";
/// Name of the file with one line of JSON for each epoch.
pub const METRICS: &str = "metrics.jsonl";
/// Name of the file with the latest weights, in PyTorch's names and layouts.
pub const MODEL: &str = "model.safetensors";
/// Name of the file with the weights after the epoch with the best evaluation.
pub const BEST: &str = "best.safetensors";
/// Name of the file with the results of the run.
pub const SUMMARY: &str = "summary.json";
/// Name of the file with the state before a step with a NaN or infinite loss or gradient, and the images of that step.
pub const NON_FINITE_DUMP: &str = "not-finite.safetensors";

/// Parent folder of the runs for which the user gave no path.
const RUNS: &str = "runs";

/// Returns the weights file for a path: the file [`MODEL`] in the folder if the path is a folder, otherwise the path
/// itself.
pub fn weights_file(path: &Path) -> PathBuf {
    if path.is_dir() { path.join(MODEL) } else { path.to_path_buf() }
}

/// The folder of one run.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    /// The handle of the locked folder; none before the folder is created or reopened. The lock keeps a second process
    /// from training in the folder.
    lock: Option<File>,
    /// True if the user gave no path. If another run has begun in the default path, this run gets another path.
    is_default: bool,
    /// True if [`RunFolder::create`] made the folder, or found it empty.
    is_new: bool,
    /// The folders that [`RunFolder::create`] made, the innermost first. [`RunFolder::remove`] removes them.
    made: Vec<PathBuf>,
}

/// The results of a run: the contents of `summary.json`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Summary {
    /// The name of the dataset, such as `cifar10`.
    pub dataset: String,
    /// The name of the device.
    pub device: String,
    /// The name of the device that the run began on, if the run moved to another device later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub began_on: Option<String>,
    /// The way in which the run ended: `finished`, `stopped early` or `interrupted`.
    pub ended: String,
    /// The number of training steps.
    pub n_steps: usize,
    /// The time from the first step to the end, in seconds. Evaluation counts. The pause before a resume does not
    /// count.
    pub seconds: f64,
    /// The epoch with the best evaluation, from 1.
    pub best_epoch: Option<usize>,
    /// The accuracy of the best evaluation, in 0..=1.
    pub best_accuracy: Option<f64>,
    /// The name of the file with the weights after the best epoch, in the run folder: [`BEST`].
    #[serde(default)]
    pub best_file: Option<String>,
    /// The images on which the best epoch was chosen: `validation images` or `test images`.
    #[serde(default)]
    pub best_chosen_on: Option<String>,
    /// The mean loss over all test images after the last epoch.
    pub test_loss: Option<f64>,
    /// The accuracy over all test images after the last epoch, in 0..=1.
    pub test_accuracy: Option<f64>,
    /// The part of the images, in 0..=1, whose label is among the five most probable classes: of the images that the page
    /// `report.html` evaluates. None for at most five classes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top5_accuracy: Option<f64>,
    /// The time of each layer of a training step; empty if the run was interrupted.
    #[serde(default, rename = "parts")]
    pub layer_times: Vec<LayerTime>,
    /// The version of wgrad.
    pub version: String,
}

/// The time of one layer in a training step, forward or backward.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct LayerTime {
    /// The layer and the direction, such as `layer1, backward`. For a node that belongs to no layer, the name of its
    /// op, such as `adam`.
    #[serde(rename = "part")]
    pub name: String,
    /// The time in seconds. The time of a node is the median over several steps. The time of a layer is the sum over
    /// its nodes.
    pub seconds: f64,
}

impl Summary {
    /// The value of [`Summary::ended`] for an interrupted run.
    pub const INTERRUPTED: &str = "interrupted";
}

impl RunFolder {
    /// Chooses the path of a new run: `out` if it is given, otherwise `runs/<time>`. Writes nothing.
    ///
    /// # Errors
    /// If `out` is a file, or a folder that is not empty.
    pub fn choose(out: Option<&Path>) -> Result<Self, Error> {
        let (path, is_default) = match out {
            Some(path) => {
                refuse_existing(path)?;
                (path.to_path_buf(), false)
            }
            None => (unused(&Path::new(RUNS).join(time_stamp())), true),
        };
        Ok(Self { path, lock: None, is_default, is_new: false, made: Vec::new() })
    }

    /// Opens the folder of a run that will be resumed, and locks it if `locks`: of several ranks, the first one alone writes.
    /// Returns the folder and its settings.
    ///
    /// # Errors
    /// If the path is not a run folder, its settings cannot be read, or another process trains in it.
    pub fn reopen(path: &Path, locks: bool) -> Result<(Self, Settings), Error> {
        let config = path.join(CONFIG);
        if !config.exists() {
            let problem = format!("is not a run folder: it has no {CONFIG}");
            return Err(TrainError::NoRun { path: path.to_path_buf(), problem }.into());
        }
        if path.join(lr_find::CSV).exists() && !path.join(METRICS).exists() {
            let problem = "has the results of a sweep over learning rates, but no run".to_string();
            return Err(TrainError::NoRun { path: path.to_path_buf(), problem }.into());
        }
        let settings = Settings::of_run(&config)?;
        let path = path.to_path_buf();
        let mut folder =
            Self { path, lock: None, is_default: false, is_new: false, made: Vec::new() };
        if locks {
            folder.lock()?;
        }
        Ok((folder, settings))
    }

    /// Makes the folder of a run, with the resolved settings and an empty metrics file in it.
    ///
    /// # Errors
    /// If a file cannot be written, or another process has written into the folder since [`RunFolder::choose`]. A call
    /// that fails removes the files and folders that it has made.
    pub fn create(&mut self, recipe: &Recipe) -> Result<(), Error> {
        self.create_for_sweep(recipe)?;
        Ok(self.write_metrics(&[]).inspect_err(|_| self.remove())?)
    }

    /// Makes the folder of a sweep over learning rates, with the resolved settings in it.
    ///
    /// # Errors
    /// As for [`RunFolder::create`].
    pub fn create_for_sweep(&mut self, recipe: &Recipe) -> Result<(), Error> {
        let write = |path: &Path| Ok(files::write_whole(path, recipe.to_toml().as_bytes())?);
        self.reserve().and_then(|()| write(&self.path.join(CONFIG))).inspect_err(|_| self.remove())
    }

    /// Makes an empty folder for measurements.
    ///
    /// # Errors
    /// As for [`RunFolder::create`].
    pub fn create_empty(&mut self) -> Result<(), Error> {
        self.reserve().inspect_err(|_| self.remove())
    }

    /// Returns whether this process has created or reopened the folder, and so may write into it.
    pub fn is_open(&self) -> bool {
        self.lock.is_some()
    }

    /// Removes the files and folders that [`RunFolder::create`] made, after a run that failed before its first step.
    /// Files and folders from before `create` stay.
    pub fn remove(&mut self) {
        if !self.is_new {
            return;
        }
        self.lock = None;
        // Errors are ignored: the caller already reports the failure of the run.
        for file in [CONFIG, METRICS, picture_list::PICTURES, lr_find::CSV, lr_find::SVG] {
            let _ = fs::remove_file(self.path.join(file));
        }
        for folder in self.made.drain(..) {
            let _ = fs::remove_dir(folder);
        }
    }

    /// Makes the folder and locks it.
    fn reserve(&mut self) -> Result<(), Error> {
        loop {
            let missing = self.path.ancestors().filter(|p| !p.as_os_str().is_empty());
            self.made = missing.take_while(|p| !p.exists()).map(Path::to_path_buf).collect();
            fs::create_dir_all(&self.path).map_err(FileError::at(&self.path))?;
            // The folder is checked again: `choose` may have run minutes ago, and another run may have begun in the
            // folder since.
            match self.lock().and_then(|()| Ok(refuse_existing(&self.path)?)) {
                Ok(()) => break,
                Err(Error::Train(_)) if self.is_default => {
                    self.lock = None;
                    self.path = unused(&self.path);
                }
                Err(error) => return Err(error),
            }
        }
        self.is_new = true;
        Ok(())
    }

    fn lock(&mut self) -> Result<(), Error> {
        // The lock is on the folder. Windows cannot open a folder as a file, so there the lock is on `config.toml`, and
        // a new folder without this file is not locked.
        let path = if cfg!(unix) { self.path.clone() } else { self.path.join(CONFIG) };
        let file = match File::open(&path) {
            Err(_) if !cfg!(unix) => return Ok(()),
            file => file.map_err(FileError::at(&path))?,
        };
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => {
                Err(TrainError::Busy { path: self.path.clone() }.into())
            }
            // Some network file systems have no locks. The run then goes on without a lock.
            Ok(()) | Err(TryLockError::Error(_)) => {
                self.lock = Some(file);
                Ok(())
            }
        }
    }

    /// Overwrites the settings, for a run that continues on another device.
    ///
    /// # Errors
    /// If the settings cannot be written. The old file then stays.
    pub fn write_config(&self, recipe: &Recipe) -> Result<(), FileError> {
        files::write_whole(&self.path.join(CONFIG), recipe.to_toml().as_bytes())
    }

    /// Overwrites the metrics file: one line for each of these epochs.
    ///
    /// # Errors
    /// If the file cannot be written. The old file then stays.
    pub fn write_metrics(&self, epochs: &[EpochMetrics]) -> Result<(), FileError> {
        let line = |epoch| serde_json::to_string(epoch).expect("numbers alone") + "\n";
        let lines: String = epochs.iter().map(line).collect();
        files::write_whole(&self.path.join(METRICS), lines.as_bytes())
    }

    /// Writes the results of the run.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write_summary(&self, summary: &Summary) -> Result<(), FileError> {
        let text = serde_json::to_string_pretty(summary).expect("numbers and strings") + "\n";
        files::write_whole(&self.path.join(SUMMARY), text.as_bytes())
    }

    /// Returns the path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the path of the latest weights.
    pub fn model(&self) -> PathBuf {
        self.path.join(MODEL)
    }

    /// Returns the path of the best weights.
    pub fn best(&self) -> PathBuf {
        self.path.join(BEST)
    }

    /// Returns the names of the result files that exist. Training writes its first checkpoint before the first result
    /// file. If a folder has result files and no checkpoint, its checkpoints were therefore removed or could not be
    /// written.
    pub fn results(&self) -> Vec<&'static str> {
        let mut files = vec![MODEL, BEST, SUMMARY];
        files.retain(|file| self.path.join(file).exists());
        files
    }

    /// Returns the summary of the run in a folder; none if the run is not finished, or was interrupted.
    pub fn finished(path: &Path) -> Option<Summary> {
        let text = fs::read_to_string(path.join(SUMMARY)).ok()?;
        let summary: Summary = serde_json::from_str(&text).ok()?;
        (summary.ended != Summary::INTERRUPTED).then_some(summary)
    }
}

fn refuse_existing(path: &Path) -> Result<(), TrainError> {
    let refuse = |problem| Err(TrainError::Occupied { path: path.to_path_buf(), problem });
    // A run that was killed at its start may leave temporary files. A folder with only temporary files counts as
    // empty.
    let is_empty = |entries: fs::ReadDir| entries.flatten().all(|e| files::is_temporary(&e.path()));
    match fs::read_dir(path).map(is_empty) {
        Ok(true) => Ok(()),
        Ok(false) if path.join(CONFIG).exists() => refuse("holds a run already"),
        Ok(false) => refuse("exists already and is not empty"),
        Err(_) if path.exists() => refuse("exists already and is not a folder"),
        Err(_) => Ok(()),
    }
}

/// Returns the local time as `2026-11-22-153012`.
fn time_stamp() -> String {
    jiff::Zoned::now().strftime("%Y-%m-%d-%H%M%S").to_string()
}

/// Returns the first of `<path>`, `<path>-2`, `<path>-3`, ... that does not exist. Two runs may start in the same
/// second, and so have the same default path.
fn unused(path: &Path) -> PathBuf {
    let with_number = |n: usize| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!("-{n}"));
        PathBuf::from(name)
    };
    let candidates = std::iter::once(path.to_path_buf()).chain((2..).map(with_number));
    candidates.into_iter().find(|p| !p.exists()).expect("the numbers do not end")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_or_a_folder_that_is_not_empty_is_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        assert!(RunFolder::choose(Some(dir.path())).is_ok(), "an empty folder is accepted");
        assert!(RunFolder::choose(Some(&dir.path().join("new"))).is_ok());
        let file = dir.path().join("file");
        fs::write(&file, "x").expect("a file");
        for taken in [dir.path(), &file] {
            let error = RunFolder::choose(Some(taken)).expect_err("taken");
            assert!(error.to_string().contains("never overwritten"), "{error}");
        }
    }

    #[test]
    fn two_runs_of_the_same_second_get_two_folders() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("run");
        assert_eq!(unused(&path), path);
        fs::create_dir(&path).expect("a folder");
        assert_eq!(unused(&path), dir.path().join("run-2"));
    }

    #[test]
    fn time_stamps_are_digits_and_hyphens_of_a_fixed_length() {
        let stamp = time_stamp();
        assert_eq!(stamp.len(), "2026-11-22-153012".len());
        assert!(stamp.chars().all(|c| c.is_ascii_digit() || c == '-'), "{stamp}");
    }
}
