//! The run folder: what a run leaves behind.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::lr_find;
use super::metrics::EpochMetrics;
use super::recipe::Recipe;
use super::settings::Settings;
use crate::Error;
use crate::base::files::{self, FileError};
use crate::train::TrainError;

/// The resolved settings.
pub const CONFIG: &str = "config.toml";
/// A line an epoch.
pub const METRICS: &str = "metrics.jsonl";
/// The weights, with PyTorch's names and layouts.
pub const MODEL: &str = "model.safetensors";
/// The weights after the epoch with the best evaluation.
pub const BEST: &str = "best.safetensors";
/// The results of the run.
pub const SUMMARY: &str = "summary.json";
/// The state before a step that was not finite, and that step's images.
pub const NON_FINITE_DUMP: &str = "not-finite.safetensors";

/// Where runs go when nothing is said.
const RUNS: &str = "runs";

/// The file of weights that a path means: the folder of a run stands for the model in it.
pub fn weights_file(path: &Path) -> PathBuf {
    if path.is_dir() { path.join(MODEL) } else { path.to_path_buf() }
}

/// A folder for one run.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    /// The folder, locked: one process trains in it at a time.
    lock: Option<File>,
    /// Whether nobody has named it: then another will do if it is taken.
    is_default: bool,
    /// Whether [`RunFolder::create`] wrote into it, and nobody before.
    is_new: bool,
    /// The folders that [`RunFolder::create`] made, the innermost first.
    made: Vec<PathBuf>,
}

/// What a run came to: the contents of `summary.json`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Summary {
    /// `cifar10` or `shapes`.
    pub dataset: String,
    /// The name of the device.
    pub device: String,
    /// The name of the device that the run began on, if it has moved since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub began_on: Option<String>,
    /// `finished`, `stopped early` or `interrupted`.
    pub ended: String,
    /// Training steps in all.
    pub n_steps: usize,
    /// From the first step to the end, evaluation included; pauses between resumes are not in it.
    pub seconds: f64,
    /// The epoch with the best evaluation, from 1.
    pub best_epoch: Option<usize>,
    /// Its accuracy.
    pub best_accuracy: Option<f64>,
    /// The file of its weights, in the run's folder: [`BEST`].
    #[serde(default)]
    pub best_file: Option<String>,
    /// The images whose accuracy chose it: `validation images` or `test images`.
    #[serde(default)]
    pub best_chosen_on: Option<String>,
    /// The mean loss over all test images after the last epoch.
    pub test_loss: Option<f64>,
    /// The part of them that was classified rightly, in 0..=1.
    pub test_accuracy: Option<f64>,
    /// The time of each layer of a training step; none when the run was interrupted.
    #[serde(default, rename = "parts")]
    pub layer_times: Vec<LayerTime>,
    /// The version of wgrad.
    pub version: String,
}

/// The time that a layer takes in a training step, forward or backward.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct LayerTime {
    /// `layer1, backward`; for a node that belongs to no layer, its op: `adam`.
    #[serde(rename = "part")]
    pub name: String,
    /// Seconds: the sum, over its nodes, of the medians of several steps.
    pub seconds: f64,
}

impl Summary {
    /// What [`Summary::ended`] says of a run that was interrupted.
    pub const INTERRUPTED: &str = "interrupted";
}

impl RunFolder {
    /// Chooses the folder: `out` itself, or `runs/<time>`. Nothing is written yet.
    ///
    /// # Errors
    /// When `out` is a file, or a folder that holds something already.
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

    /// The folder of a run that goes on, and the settings that it has.
    ///
    /// # Errors
    /// When the folder holds no run, when its settings cannot be read, or when another process is
    /// training in it.
    pub fn reopen(path: &Path) -> Result<(Self, Settings), Error> {
        let config = path.join(CONFIG);
        if !config.exists() {
            let problem = format!("holds no run: there is no {CONFIG} in it");
            return Err(TrainError::NoRun { path: path.to_path_buf(), problem }.into());
        }
        if path.join(lr_find::CSV).exists() && !path.join(METRICS).exists() {
            let problem = "holds a sweep over learning rates, and no run".to_string();
            return Err(TrainError::NoRun { path: path.to_path_buf(), problem }.into());
        }
        let settings = Settings::read(&config)?;
        let path = path.to_path_buf();
        let mut folder =
            Self { path, lock: None, is_default: false, is_new: false, made: Vec::new() };
        folder.lock()?;
        Ok((folder, settings))
    }

    /// Makes the folder of a run, with the resolved settings and an empty file of metrics in it.
    ///
    /// # Errors
    /// When that cannot be written, nothing of which is left then; or when the folder was taken meanwhile.
    pub fn create(&mut self, recipe: &Recipe) -> Result<(), Error> {
        self.create_for_sweep(recipe)?;
        Ok(self.write_metrics(&[]).inspect_err(|_| self.remove())?)
    }

    /// Makes the folder of a sweep, with the resolved settings in it.
    ///
    /// # Errors
    /// As for [`RunFolder::create`].
    pub fn create_for_sweep(&mut self, recipe: &Recipe) -> Result<(), Error> {
        let write = |path: &Path| Ok(files::write_whole(path, recipe.to_toml().as_bytes())?);
        self.reserve().and_then(|()| write(&self.path.join(CONFIG))).inspect_err(|_| self.remove())
    }

    /// Makes the folder of measurements, with nothing in it.
    ///
    /// # Errors
    /// As for [`RunFolder::create`].
    pub fn create_empty(&mut self) -> Result<(), Error> {
        self.reserve().inspect_err(|_| self.remove())
    }

    /// Whether it was created, or opened again: it is this process's then.
    pub fn is_open(&self) -> bool {
        self.lock.is_some()
    }

    /// Removes what [`RunFolder::create`] made, for a run that comes to nothing. What was there before
    /// stays.
    pub fn remove(&mut self) {
        if !self.is_new {
            return;
        }
        self.lock = None;
        // What cannot be removed stays: another error is about to be told.
        for file in [CONFIG, METRICS, lr_find::CSV, lr_find::SVG] {
            let _ = fs::remove_file(self.path.join(file));
        }
        for folder in self.made.drain(..) {
            let _ = fs::remove_dir(folder);
        }
    }

    /// Makes the folder, and keeps others out of it.
    fn reserve(&mut self) -> Result<(), Error> {
        loop {
            let missing = self.path.ancestors().filter(|p| !p.as_os_str().is_empty());
            self.made = missing.take_while(|p| !p.exists()).map(Path::to_path_buf).collect();
            fs::create_dir_all(&self.path).map_err(FileError::at(&self.path))?;
            // Looked at again: minutes may have passed, and another run may have begun in it.
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
        // Windows opens no folder as a file.
        let path = if cfg!(unix) { self.path.clone() } else { self.path.join(CONFIG) };
        let file = match File::open(&path) {
            Err(_) if !cfg!(unix) => return Ok(()),
            file => file.map_err(FileError::at(&path))?,
        };
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => {
                Err(TrainError::Busy { path: self.path.clone() }.into())
            }
            // Some network file systems know no locks; nobody else is kept out there.
            Ok(()) | Err(TryLockError::Error(_)) => {
                self.lock = Some(file);
                Ok(())
            }
        }
    }

    /// Writes the settings anew, of a run that goes on on another device.
    ///
    /// # Errors
    /// When they cannot be written; the settings of before are there then.
    pub fn write_config(&self, recipe: &Recipe) -> Result<(), FileError> {
        files::write_whole(&self.path.join(CONFIG), recipe.to_toml().as_bytes())
    }

    /// Writes a line for each epoch so far.
    ///
    /// # Errors
    /// When it cannot be written; the lines of before are there then.
    pub fn write_metrics(&self, epochs: &[EpochMetrics]) -> Result<(), FileError> {
        let line = |epoch| serde_json::to_string(epoch).expect("numbers alone") + "\n";
        let lines: String = epochs.iter().map(line).collect();
        files::write_whole(&self.path.join(METRICS), lines.as_bytes())
    }

    /// Writes what the run came to.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_summary(&self, summary: &Summary) -> Result<(), FileError> {
        let text = serde_json::to_string_pretty(summary).expect("numbers and strings") + "\n";
        files::write_whole(&self.path.join(SUMMARY), text.as_bytes())
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file of the latest weights in it.
    pub fn model(&self) -> PathBuf {
        self.path.join(MODEL)
    }

    /// The file of the best weights in it.
    pub fn best(&self) -> PathBuf {
        self.path.join(BEST)
    }

    /// The files of results in the folder. Training writes its first checkpoint before any of them.
    pub fn results(&self) -> Vec<&'static str> {
        let mut files = vec![MODEL, BEST, SUMMARY];
        files.retain(|file| self.path.join(file).exists());
        files
    }

    /// The summary of a run that has come to its end; none while there is something left to train.
    pub fn finished(path: &Path) -> Option<Summary> {
        let text = fs::read_to_string(path.join(SUMMARY)).ok()?;
        let summary: Summary = serde_json::from_str(&text).ok()?;
        (summary.ended != Summary::INTERRUPTED).then_some(summary)
    }
}

fn refuse_existing(path: &Path) -> Result<(), TrainError> {
    let refuse = |problem| Err(TrainError::Occupied { path: path.to_path_buf(), problem });
    // What a run that was killed in its first moment leaves counts for nothing.
    let is_empty = |entries: fs::ReadDir| entries.flatten().all(|e| files::is_temporary(&e.path()));
    match fs::read_dir(path).map(is_empty) {
        Ok(true) => Ok(()),
        Ok(false) if path.join(CONFIG).exists() => refuse("holds a run already"),
        Ok(false) => refuse("exists already and is not empty"),
        Err(_) if path.exists() => refuse("is there already, and is no folder"),
        Err(_) => Ok(()),
    }
}

/// `2026-11-22-153012`, in local time.
fn time_stamp() -> String {
    jiff::Zoned::now().strftime("%Y-%m-%d-%H%M%S").to_string()
}

/// The path, or the first of `<path>-2`, `<path>-3`, ... that is free: two runs may start within a
/// second.
fn unused(path: &Path) -> PathBuf {
    let with_number = |n: usize| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!("-{n}"));
        PathBuf::from(name)
    };
    let candidates = std::iter::once(path.to_path_buf()).chain((2..).map(with_number));
    candidates.into_iter().find(|p| !p.exists()).expect("there is no end of numbers")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_with_something_in_it_is_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        assert!(RunFolder::choose(Some(dir.path())).is_ok(), "an empty folder is as good as none");
        assert!(RunFolder::choose(Some(&dir.path().join("new"))).is_ok());
        let file = dir.path().join("file");
        fs::write(&file, "x").expect("a file");
        for taken in [dir.path(), &file] {
            let error = RunFolder::choose(Some(taken)).expect_err("taken");
            assert!(error.to_string().contains("never overwritten"), "{error}");
        }
    }

    #[test]
    fn runs_of_the_same_second_get_folders_of_their_own() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("run");
        assert_eq!(unused(&path), path);
        fs::create_dir(&path).expect("a folder");
        assert_eq!(unused(&path), dir.path().join("run-2"));
    }

    #[test]
    fn time_stamps_have_a_fixed_form() {
        let stamp = time_stamp();
        assert_eq!(stamp.len(), "2026-11-22-153012".len());
        assert!(stamp.chars().all(|c| c.is_ascii_digit() || c == '-'), "{stamp}");
    }
}
