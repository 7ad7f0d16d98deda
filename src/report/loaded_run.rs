//! Reads a run from its folder.

use std::path::{Path, PathBuf};
use std::{fs, io};

use toml::de::DeTable;

use crate::Error;
use crate::base::files::FileError;
use crate::base::shown::Shown;
use crate::base::sorting::sort_by_key;
use crate::train::TrainError;
use crate::train::folder::{CONFIG, METRICS, MODEL, SUMMARY, Summary};
use crate::train::{EpochMetrics, checkpoint};

/// The contents of a run's folder.
#[derive(Clone, PartialEq, Debug)]
pub struct LoadedRun {
    /// The folder.
    pub path: PathBuf,
    /// The settings, in the order and the spelling of the file.
    pub settings: Vec<(String, String)>,
    /// The finished epochs.
    pub epochs: Vec<EpochMetrics>,
    /// The summary that the run writes at its end or after an interruption; None before.
    pub summary: Option<Summary>,
}

impl LoadedRun {
    /// Reads a run's folder.
    ///
    /// # Errors
    /// If `path` is not a run folder; the error has the reason and possibly a suggestion. If a file in the folder is
    /// damaged.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let refuse = |problem| Err(TrainError::NoRun { path: path.to_path_buf(), problem }.into());
        match path.metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return refuse("does not exist; name the folder of a run".to_string());
            }
            Err(error) => return Err(FileError::at(path)(error).into()),
            Ok(found) if !found.is_dir() => {
                let parent = path.parent().filter(|parent| parent.join(CONFIG).exists());
                let meant = parent.map(|parent| format!(", {}", parent.shown()));
                return refuse(format!(
                    "is not a folder; name the folder of the run{}",
                    meant.unwrap_or_default()
                ));
            }
            Ok(_) => {}
        }
        let config = path.join(CONFIG);
        if !config.exists() {
            let meant = newest_run(path).map_or(String::new(), |run| {
                format!("; name one of the runs in it, such as {}", run.shown())
            });
            return refuse(format!("is not a run folder: it has no {CONFIG}{meant}"));
        }
        let text = fs::read_to_string(&config).map_err(FileError::at(&config))?;
        let settings =
            settings(&text).map_err(|reason| TrainError::Damaged { path: config, reason })?;
        let (epochs, summary) = (epochs(&path.join(METRICS))?, summary(&path.join(SUMMARY))?);
        Ok(Self { path: path.to_path_buf(), settings, epochs, summary })
    }

    /// Returns the path of the weights: those of the last epoch, or the latest checkpoint of a run that has not
    /// finished its first epoch. None if there is neither.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn model(&self) -> Result<Option<PathBuf>, FileError> {
        let model = self.path.join(MODEL);
        if model.exists() { Ok(Some(model)) } else { checkpoint::latest(&self.path) }
    }
}

/// Returns the newest run in a folder of runs.
fn newest_run(path: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(path).ok()?;
    let runs = entries.filter_map(|entry| Some(entry.ok()?.path()));
    // The default name of a run's folder is a date and time, so the newest run is the last in alphabetical order.
    runs.filter(|run| run.join(CONFIG).exists()).max()
}

/// Returns the keys and values of a flat TOML table, in the order and the spelling of the text. Strings are without
/// quotation marks.
///
/// # Errors
/// If the text is not TOML.
pub fn settings(text: &str) -> Result<Vec<(String, String)>, String> {
    let table = DeTable::parse(text).map_err(|error| error.to_string().trim_end().to_string())?;
    let mut settings: Vec<_> = table.get_ref().iter().collect();
    sort_by_key(&mut settings, |(key, _)| key.span().start);
    let words = |value: &toml::Spanned<toml::de::DeValue<'_>>| match value.get_ref() {
        toml::de::DeValue::String(text) => text.to_string(),
        _ => text[value.span()].to_string(),
    };
    Ok(settings.into_iter().map(|(key, value)| (key.get_ref().to_string(), words(value))).collect())
}

/// Reads the lines of `metrics.jsonl`. An incomplete last line is ignored, because a running process may be writing the
/// file.
fn epochs(path: &Path) -> Result<Vec<EpochMetrics>, Error> {
    let text = match fs::read_to_string(path) {
        // The file does not exist before the first epoch is finished.
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        result => result.map_err(FileError::at(path))?,
    };
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let lines = whole.lines().enumerate().map(|(ix, line)| {
        serde_json::from_str(line).map_err(|error| {
            let reason = format!("line {}: not the metrics of an epoch: {error}", ix + 1);
            TrainError::Damaged { path: path.to_path_buf(), reason }.into()
        })
    });
    lines.collect()
}

fn summary(path: &Path) -> Result<Option<Summary>, Error> {
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        result => result.map_err(FileError::at(path))?,
    };
    let read = serde_json::from_str(&text).map(Some);
    Ok(read.map_err(|error| TrainError::Damaged {
        path: path.to_path_buf(),
        reason: error.to_string(),
    })?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"epoch":1,"lr":0.01,"train_loss":1.5,"train_accuracy":0.5,"test_loss":1.25,"test_accuracy":0.75,"seconds":2.0,"eval_seconds":0.5,"images_per_s":1000.0,"weights":"e3b0c44298fc1c14"}"#;

    fn refused(path: &Path) -> String {
        LoadedRun::read(path).expect_err("no run").to_string()
    }

    #[test]
    fn a_run_can_be_read_from_its_folder() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let config = "# words\nwidth = 8\ndata = \"cifar10\"\nmax-lr = 1e-2\n";
        fs::write(folder.path().join(CONFIG), config).expect("written");
        // The second line is incomplete.
        fs::write(folder.path().join(METRICS), format!("{LINE}\n{}", &LINE[..30]))
            .expect("written");
        let run = LoadedRun::read(folder.path()).expect("a run");
        let settings = [("width", "8"), ("data", "cifar10"), ("max-lr", "1e-2")];
        assert_eq!(run.settings, settings.map(|(key, value)| (key.into(), value.into())));
        assert_eq!(run.epochs.iter().map(|e| e.accuracy()).collect::<Vec<_>>(), [0.75]);
        assert_eq!((run.model().expect("readable"), &run.summary), (None, &None));
        for file in ["checkpoint-9.safetensors", "checkpoint-10.safetensors", MODEL] {
            fs::write(folder.path().join(file), "weights").expect("written");
            let model = run.model().expect("readable").expect("there are weights");
            assert_eq!(
                model.file_name(),
                Some(file.as_ref()),
                "the latest checkpoint, and then the model"
            );
        }

        fs::write(folder.path().join(METRICS), format!("{LINE}\nnonsense\n")).expect("written");
        assert!(refused(folder.path()).contains("line 2"), "{}", refused(folder.path()));
        fs::write(folder.path().join(CONFIG), "width = = 8").expect("written");
        assert!(refused(folder.path()).contains("config.toml"), "{}", refused(folder.path()));
    }

    #[test]
    fn folders_without_a_run_are_rejected_with_a_reason() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path();
        assert!(refused(&path.join("nowhere")).contains("does not exist"));
        assert!(refused(path).contains("is not a run folder: it has no config.toml"));
        for run in ["2026-01-01-000000", "2026-01-02-000000"] {
            fs::create_dir(path.join(run)).expect("a folder");
            fs::write(path.join(run).join(CONFIG), "").expect("written");
        }
        assert!(refused(path).ends_with("2026-01-02-000000"), "{}", refused(path));
        let file = path.join("2026-01-01-000000").join(CONFIG);
        assert!(refused(&file).contains("is not a folder; name the folder of the run, "));
        assert!(refused(&file).ends_with("2026-01-01-000000"), "{}", refused(&file));
    }
}
