//! A run that is over, read back from its folder.

use std::path::{Path, PathBuf};
use std::{fs, io};

use toml::de::DeTable;

use crate::base::shown::Shown;
use crate::error::Error;
use crate::train::folder::{CONFIG, METRICS, MODEL, SUMMARY, Summary};
use crate::train::{EpochMetrics, checkpoint};

/// What a run folder says of its run.
#[derive(Clone, PartialEq, Debug)]
pub struct PastRun {
    /// The folder.
    pub path: PathBuf,
    /// The settings, in the order of the file, as they are written there.
    pub settings: Vec<(String, String)>,
    /// The epochs that were finished.
    pub epochs: Vec<EpochMetrics>,
    /// What it came to; none while it goes on.
    pub summary: Option<Summary>,
}

impl PastRun {
    /// Reads a run folder.
    ///
    /// # Errors
    /// When it is none, saying why, and what was meant perhaps; when a file in it is damaged.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let refuse = |why: String| Err(Error::Run(format!("{} {why}", path.shown())));
        match path.metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return refuse("is not there: name the folder of a run".to_string());
            }
            Err(error) => return Err(Error::io(path)(error)),
            Ok(found) if !found.is_dir() => {
                let parent = path.parent().filter(|parent| parent.join(CONFIG).exists());
                let meant = parent.map(|parent| format!(", {}", parent.shown()));
                return refuse(format!(
                    "is no folder: name the folder of the run{}",
                    meant.unwrap_or_default()
                ));
            }
            Ok(_) => {}
        }
        let config = path.join(CONFIG);
        if !config.exists() {
            let meant = newest_run(path).map_or(String::new(), |run| {
                format!(": name one of the runs in it, {} for instance", run.shown())
            });
            return refuse(format!("is no run: there is no {CONFIG} in it{meant}"));
        }
        let text = fs::read_to_string(&config).map_err(Error::io(&config))?;
        let settings = settings(&text)
            .map_err(|reason| Error::Run(format!("{}: {reason}", config.shown())))?;
        let (epochs, summary) = (epochs(&path.join(METRICS))?, summary(&path.join(SUMMARY))?);
        Ok(Self { path: path.to_path_buf(), settings, epochs, summary })
    }

    /// The file of weights: those after the last epoch, or of a run that has not come to the end of its
    /// first one, its latest checkpoint. None if it has left neither.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn model(&self) -> Result<Option<PathBuf>, Error> {
        let model = self.path.join(MODEL);
        if model.exists() { Ok(Some(model)) } else { checkpoint::latest(&self.path) }
    }
}

/// The newest run in a folder of runs.
fn newest_run(path: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(path).ok()?;
    let runs = entries.filter_map(|entry| Some(entry.ok()?.path()));
    // Folders are named after the time, so the newest is the last one.
    runs.filter(|run| run.join(CONFIG).exists()).max()
}

/// The keys of a flat TOML table with their values, in the order and the words of the text; strings
/// without their quotation marks.
///
/// # Errors
/// When it is no TOML.
pub fn settings(text: &str) -> Result<Vec<(String, String)>, String> {
    let table = DeTable::parse(text).map_err(|error| error.to_string().trim_end().to_string())?;
    let mut settings: Vec<_> = table.get_ref().iter().collect();
    settings.sort_by_key(|(key, _)| key.span().start);
    let words = |value: &toml::Spanned<toml::de::DeValue<'_>>| match value.get_ref() {
        toml::de::DeValue::String(text) => text.to_string(),
        _ => text[value.span()].to_string(),
    };
    Ok(settings.into_iter().map(|(key, value)| (key.get_ref().to_string(), words(value))).collect())
}

/// The lines of `metrics.jsonl`. The last one may be half a line: the run may be writing it.
fn epochs(path: &Path) -> Result<Vec<EpochMetrics>, Error> {
    let text = match fs::read_to_string(path) {
        // A run that was ended before its first epoch was over.
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        result => result.map_err(Error::io(path))?,
    };
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let lines = whole.lines().enumerate().map(|(ix, line)| {
        serde_json::from_str(line).map_err(|error| {
            let path = path.shown();
            Error::Run(format!("{path}: line {} is no epoch's metrics: {error}", ix + 1))
        })
    });
    lines.collect()
}

fn summary(path: &Path) -> Result<Option<Summary>, Error> {
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        result => result.map_err(Error::io(path))?,
    };
    let refused = |error| Error::Run(format!("{}: {error}", path.shown()));
    serde_json::from_str(&text).map(Some).map_err(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"epoch":1,"lr":0.01,"train_loss":1.5,"train_accuracy":0.5,"test_loss":1.25,"test_accuracy":0.75,"seconds":2.0,"eval_seconds":0.5,"images_per_s":1000.0,"weights":"e3b0c44298fc1c14"}"#;

    fn refused(path: &Path) -> String {
        PastRun::read(path).expect_err("no run").to_string()
    }

    #[test]
    fn a_run_is_read_back() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let config = "# words\nwidth = 8\ndata = \"cifar10\"\nmax-lr = 1e-2\n";
        fs::write(folder.path().join(CONFIG), config).expect("written");
        // The second line is being written.
        fs::write(folder.path().join(METRICS), format!("{LINE}\n{}", &LINE[..30]))
            .expect("written");
        let run = PastRun::read(folder.path()).expect("a run");
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
                "the latest, and the model before it"
            );
        }

        fs::write(folder.path().join(METRICS), format!("{LINE}\nnonsense\n")).expect("written");
        assert!(refused(folder.path()).contains("line 2"), "{}", refused(folder.path()));
        fs::write(folder.path().join(CONFIG), "width = = 8").expect("written");
        assert!(refused(folder.path()).contains("config.toml"), "{}", refused(folder.path()));
    }

    #[test]
    fn what_is_no_run_is_told_apart() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path();
        assert!(refused(&path.join("nowhere")).contains("is not there"));
        assert!(refused(path).contains("is no run: there is no config.toml in it"));
        for run in ["2026-01-01-000000", "2026-01-02-000000"] {
            fs::create_dir(path.join(run)).expect("a folder");
            fs::write(path.join(run).join(CONFIG), "").expect("written");
        }
        assert!(refused(path).contains("2026-01-02-000000 for instance"), "{}", refused(path));
        let file = path.join("2026-01-01-000000").join(CONFIG);
        assert!(refused(&file).contains("is no folder: name the folder of the run, "));
        assert!(refused(&file).ends_with("2026-01-01-000000"), "{}", refused(&file));
    }
}
