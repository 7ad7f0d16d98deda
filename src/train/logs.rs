//! The logs of a run for other programs, written after each epoch: `metrics.csv` and TensorBoard's events.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::metrics::EpochMetrics;
use super::tensorboard::EventFile;
use crate::base::files::{self, FileError};

/// Name of the file with one line for each epoch, for spreadsheets.
pub const METRICS_CSV: &str = "metrics.csv";

/// Key of the number of skipped steps. `metrics.jsonl` leaves this key out if the number is 0.
const SKIPPED: &str = "skipped_steps";

/// The keys of `metrics.jsonl`, in their order. A table has the same columns in each line, so the list has every key,
/// even those that a run does not use.
const COLUMNS: [&str; 17] = [
    "epoch",
    "lr",
    "train_loss",
    "train_accuracy",
    "validation_loss",
    "validation_accuracy",
    "test_loss",
    "test_accuracy",
    SKIPPED,
    "seconds",
    "wait_seconds",
    "ranks",
    "rank_wait_seconds",
    "exchanged_bytes",
    "eval_seconds",
    "images_per_s",
    "weights",
];

/// The open logs of a run.
#[derive(Debug)]
pub struct Logs {
    folder: PathBuf,
    epochs: Vec<EpochMetrics>,
    steps_per_epoch: usize,
    events: EventFile,
}

impl Logs {
    /// Opens the logs in a run folder. `earlier` are the epochs before a resume. Later epochs in the files are dropped,
    /// since they run again.
    ///
    /// # Errors
    /// If the files cannot be written.
    pub fn open(
        folder: &Path,
        earlier: &[EpochMetrics],
        steps_per_epoch: usize,
    ) -> Result<Self, FileError> {
        let first_step = earlier.len() * steps_per_epoch + 1;
        let events = EventFile::create(folder, first_step).map_err(FileError::at(folder))?;
        let (folder, epochs) = (folder.to_path_buf(), earlier.to_vec());
        let logs = Self { folder, epochs, steps_per_epoch, events };
        logs.write_csv()?;
        Ok(logs)
    }

    /// Appends an epoch to both logs.
    ///
    /// # Errors
    /// If a file cannot be written. The files are still valid, and later epochs can be appended.
    pub fn append(&mut self, epoch: &EpochMetrics) -> Result<(), FileError> {
        self.epochs.push(*epoch);
        self.write_csv()?;
        let step = epoch.epoch * self.steps_per_epoch;
        self.events.scalars(step, &scalars(epoch)).map_err(FileError::at(&self.folder))
    }

    fn write_csv(&self) -> Result<(), FileError> {
        let lines: String = self.epochs.iter().map(csv_line).collect();
        let text = format!("{}\n{lines}", COLUMNS.join(","));
        files::write_whole(&self.folder.join(METRICS_CSV), text.as_bytes())
    }
}

/// Returns the points of an epoch, as (curve, value). TensorBoard groups curves by the part before the slash.
fn scalars(epoch: &EpochMetrics) -> Vec<(&'static str, f64)> {
    let points = [
        ("loss/train", Some(epoch.train_loss)),
        ("loss/validation", epoch.validation_loss),
        ("loss/test", epoch.test_loss),
        ("accuracy/train", Some(epoch.train_accuracy)),
        ("accuracy/validation", epoch.validation_accuracy),
        ("accuracy/test", epoch.test_accuracy),
        ("learning_rate", Some(epoch.lr)),
        ("images_per_s", Some(epoch.images_per_s)),
    ];
    points.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// Returns the line of an epoch: the values as in `metrics.jsonl`, and an empty cell for each value that the epoch does
/// not have.
fn csv_line(epoch: &EpochMetrics) -> String {
    let fields = serde_json::to_value(epoch).expect("numbers and words");
    let cell = |column: &&str| match &fields[column] {
        // `metrics.jsonl` leaves the number of skipped steps out if it is 0. The table has the 0.
        Value::Null if *column == SKIPPED => epoch.skipped_steps.to_string(),
        Value::Null => String::new(),
        // The only string is the fingerprint. It has no comma or quotation mark, so it needs no quotes.
        Value::String(word) => word.clone(),
        other => other.to_string(),
    };
    let cells: Vec<_> = COLUMNS.iter().map(cell).collect();
    cells.join(",") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn epoch(epoch: usize) -> EpochMetrics {
        EpochMetrics::example(epoch, 0.75)
    }

    #[test]
    fn every_key_of_an_epoch_has_a_column() {
        let fields = serde_json::to_value(epoch(1)).expect("numbers");
        let fields = fields.as_object().expect("an object");
        for key in fields.keys() {
            assert!(COLUMNS.contains(&key.as_str()), "metrics.csv has no column for {key}");
        }
    }

    #[test]
    fn a_resumed_run_continues_the_table() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let text = || std::fs::read_to_string(folder.path().join(METRICS_CSV)).expect("there");
        let mut logs = Logs::open(folder.path(), &[], 10).expect("it can be written");
        logs.append(&epoch(1)).expect("written");
        logs.append(&epoch(2)).expect("written");
        let three_lines = text();
        let lines: Vec<_> = three_lines.lines().collect();
        assert_eq!(lines[0], COLUMNS.join(","));
        assert_eq!(lines[2], "2,0.01,1.5,0.5,,,1.25,0.75,0,2.0,,,,,0.5,1000.0,e3b0c44298fc1c14");
        assert_eq!(
            csv_line(&EpochMetrics { skipped_steps: 3, ..epoch(1) }).split(',').nth(8),
            Some("3")
        );

        // The run is resumed after the first epoch, so the second one runs again.
        let mut logs = Logs::open(folder.path(), &[epoch(1)], 10).expect("it can be written");
        assert_eq!(text().lines().count(), 2);
        logs.append(&epoch(2)).expect("written");
        assert_eq!(text(), three_lines);
        let n_files = std::fs::read_dir(folder.path()).expect("readable").count();
        assert_eq!(n_files, 3, "a table and two event files");
    }
}
