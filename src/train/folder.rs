//! The run folder: what a run leaves behind.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use super::metrics::EpochMetrics;
use super::recipe::Recipe;
use crate::error::Error;

/// The resolved settings.
pub const CONFIG: &str = "config.toml";
/// A line an epoch.
pub const METRICS: &str = "metrics.jsonl";
/// The weights, with PyTorch's names and layouts.
pub const MODEL: &str = "model.safetensors";

/// Where runs go when nothing is said.
const RUNS: &str = "runs";

/// A folder for one run.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    metrics: Option<File>,
    /// The folders that [`RunFolder::create`] made, the innermost first.
    made: Vec<PathBuf>,
}

impl RunFolder {
    /// Chooses the folder: `out` itself, or `runs/<time>`. Nothing is written yet.
    ///
    /// # Errors
    /// When `out` is a file, or a folder that holds something already.
    pub fn choose(out: Option<&Path>) -> Result<Self, Error> {
        let path = match out {
            Some(path) => {
                refuse_existing(path)?;
                path.to_path_buf()
            }
            None => unused(&Path::new(RUNS).join(time_stamp())),
        };
        Ok(Self { path, metrics: None, made: Vec::new() })
    }

    /// Makes the folder, with the resolved settings and an empty file of metrics in it.
    ///
    /// # Errors
    /// When that cannot be written; nothing of it is left then.
    pub fn create(&mut self, recipe: &Recipe) -> Result<(), Error> {
        self.try_create(recipe).inspect_err(|_| self.remove())
    }

    /// Removes what [`RunFolder::create`] made, for a run that comes to nothing.
    pub fn remove(&mut self) {
        self.metrics = None;
        // What cannot be removed stays: another error is about to be told.
        for file in [CONFIG, METRICS] {
            let _ = fs::remove_file(self.path.join(file));
        }
        for folder in self.made.drain(..) {
            let _ = fs::remove_dir(folder);
        }
    }

    fn try_create(&mut self, recipe: &Recipe) -> Result<(), Error> {
        let missing = self.path.ancestors().filter(|p| !p.as_os_str().is_empty());
        self.made = missing.take_while(|p| !p.exists()).map(Path::to_path_buf).collect();
        fs::create_dir_all(&self.path).map_err(Error::io(&self.path))?;
        let config = self.path.join(CONFIG);
        fs::write(&config, recipe.to_toml()).map_err(Error::io(&config))?;
        let metrics = self.path.join(METRICS);
        self.metrics = Some(File::create(&metrics).map_err(Error::io(&metrics))?);
        Ok(())
    }

    /// Appends an epoch's line, at once: an epoch that was told is in the file.
    ///
    /// # Errors
    /// When it cannot be written.
    ///
    /// # Panics
    /// Before [`RunFolder::create`].
    pub fn append(&mut self, epoch: &EpochMetrics) -> Result<(), Error> {
        let mut line = serde_json::to_string(epoch).expect("numbers alone");
        line.push('\n');
        let file = self.metrics.as_mut().expect("the folder was created");
        file.write_all(line.as_bytes()).map_err(Error::io(self.path.join(METRICS)))
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file of weights in it.
    pub fn model(&self) -> PathBuf {
        self.path.join(MODEL)
    }
}

fn refuse_existing(path: &Path) -> Result<(), Error> {
    let refuse = |what: &str| {
        let path = path.display();
        let message =
            format!("{path} {what}; a run is never overwritten: name another folder with --out");
        Err(Error::Config(message))
    };
    let is_empty = |mut entries: fs::ReadDir| entries.next().is_none();
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
            assert!(error.to_string().contains("--out"), "{error}");
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
