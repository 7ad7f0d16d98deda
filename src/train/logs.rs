//! What other programs read of a run: `metrics.csv` and TensorBoard's events, written as it goes.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::metrics::EpochMetrics;
use super::tensorboard::EventFile;
use crate::base::files::{self, FileError};

/// A line an epoch, for spreadsheets.
pub const METRICS_CSV: &str = "metrics.csv";

/// A count, which is known of every epoch.
const SKIPPED: &str = "skipped_steps";

/// The keys of `metrics.jsonl`, in their order. All of them, though a run may do without some: a table
/// has the same columns in each line.
const COLUMNS: [&str; 13] = [
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
    "eval_seconds",
    "images_per_s",
    "weights",
];

/// The logs of a run, open.
#[derive(Debug)]
pub struct Logs {
    folder: PathBuf,
    epochs: Vec<EpochMetrics>,
    steps_per_epoch: usize,
    events: EventFile,
}

impl Logs {
    /// Opens them in a run folder. `earlier` are the epochs of a run that is continued: what the files say
    /// of later ones is dropped.
    ///
    /// # Errors
    /// When they cannot be written.
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

    /// Adds an epoch.
    ///
    /// # Errors
    /// When it cannot be written. The files are whole then, and a later epoch may be added.
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

/// The points of an epoch. A slash makes a group of curves in TensorBoard.
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

/// The values as they are in `metrics.jsonl`; what an epoch does without is empty.
fn csv_line(epoch: &EpochMetrics) -> String {
    let fields = serde_json::to_value(epoch).expect("numbers and words");
    let cell = |column: &&str| match &fields[column] {
        // `metrics.jsonl` leaves the zero out.
        Value::Null if *column == SKIPPED => epoch.skipped_steps.to_string(),
        Value::Null => String::new(),
        // No word that is written here has a comma or a quotation mark in it.
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
    fn a_run_that_goes_on_continues_the_table() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let text = || std::fs::read_to_string(folder.path().join(METRICS_CSV)).expect("there");
        let mut logs = Logs::open(folder.path(), &[], 10).expect("it can be written");
        logs.append(&epoch(1)).expect("written");
        logs.append(&epoch(2)).expect("written");
        let three_lines = text();
        let lines: Vec<_> = three_lines.lines().collect();
        assert_eq!(lines[0], COLUMNS.join(","));
        assert_eq!(lines[2], "2,0.01,1.5,0.5,,,1.25,0.75,0,2.0,0.5,1000.0,e3b0c44298fc1c14");
        assert_eq!(
            csv_line(&EpochMetrics { skipped_steps: 3, ..epoch(1) }).split(',').nth(8),
            Some("3")
        );

        // Continued from after the first epoch: the second is made again.
        let mut logs = Logs::open(folder.path(), &[epoch(1)], 10).expect("it can be written");
        assert_eq!(text().lines().count(), 2);
        logs.append(&epoch(2)).expect("written");
        assert_eq!(text(), three_lines);
        let n_files = std::fs::read_dir(folder.path()).expect("readable").count();
        assert_eq!(n_files, 3, "a table and two files of events");
    }
}
