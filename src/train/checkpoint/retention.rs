//! The policy for the checkpoints of a run folder: the times at which a checkpoint is written, and the number of
//! checkpoints that are kept.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::Checkpoint;
use crate::base::files::{self, FileError};
use crate::base::sorting::sort_by;
use crate::tape::StateLayout;
use crate::train::screen;
use crate::train::units::Every;

/// The number of latest checkpoints that are kept, in addition to the best checkpoint.
const N_KEPT: usize = 2;

/// The policy that writes and removes the checkpoints of a run folder.
pub struct Retention {
    folder: PathBuf,
    every: Every,
    /// The time of the latest checkpoint, or of the attempt to write it.
    written: Instant,
}

impl Retention {
    /// Returns the policy of a run folder with this interval between checkpoints.
    pub fn new(folder: &Path, every: Every) -> Self {
        Self { folder: folder.to_path_buf(), every, written: Instant::now() }
    }

    /// Returns whether a checkpoint is due within an epoch, after `step` steps of the run.
    pub fn is_due(&self, step: u64) -> bool {
        match self.every {
            Every::Epoch => false,
            Every::Steps(steps) => step.is_multiple_of(steps.get()),
            Every::Minutes(minutes) => self.written.elapsed().as_secs_f64() >= 60.0 * minutes,
        }
    }

    /// Writes a checkpoint. Then removes all checkpoints except the best and the latest two, which include the new one.
    /// Returns whether the checkpoint was written.
    ///
    /// A failure is a warning on the standard error. The run continues, and the earlier checkpoints stay.
    pub fn save(&mut self, checkpoint: &Checkpoint, layout: &StateLayout) -> bool {
        // A failed attempt also starts the interval anew. Otherwise every following step would repeat the attempt.
        self.written = Instant::now();
        let path = self.folder.join(Checkpoint::file_name(checkpoint.header.step));
        let warn = |message: String| screen::note(&format!("warning: {message}"));
        if let Err(error) = checkpoint.save(layout, &path) {
            warn(format!("no checkpoint was written ({error}); the earlier ones are kept"));
            return false;
        }
        if let Err(error) = self.prune(checkpoint) {
            warn(format!("an older checkpoint was not removed ({error})"));
        }
        true
    }

    fn prune(&self, latest: &Checkpoint) -> Result<(), FileError> {
        let mut found = list(&self.folder)?;
        // If the run was resumed from an earlier step, there may be checkpoints of later steps. The run repeats these
        // steps, so their checkpoints are removed.
        let (past, later): (Vec<_>, _) =
            found.drain(..).partition(|(step, _)| *step <= latest.header.step);
        let n_old = past.len().saturating_sub(N_KEPT);
        let old = past.into_iter().take(n_old);
        let old = old.filter(|(step, _)| Some(*step) != latest.header.best_step);
        for (_, path) in old.chain(later) {
            fs::remove_file(&path).map_err(FileError::at(&path))?;
        }
        Ok(())
    }

    /// Returns the latest checkpoint of a run folder; none if the folder has no checkpoint. Removes temporary files.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn latest(folder: &Path) -> Result<Option<PathBuf>, FileError> {
        for entry in fs::read_dir(folder).map_err(FileError::at(folder))?.flatten() {
            if files::is_temporary(&entry.path()) {
                // An error is ignored: a temporary file does not have the name of a checkpoint, so it does no harm.
                let _ = fs::remove_file(entry.path());
            }
        }
        latest(folder)
    }
}

/// Returns the latest checkpoint of a run folder; none if the folder has no checkpoint. Changes nothing in the folder,
/// since a run may still train in it.
///
/// # Errors
/// If the folder cannot be read.
pub fn latest(folder: &Path) -> Result<Option<PathBuf>, FileError> {
    Ok(list(folder)?.pop().map(|(_, path)| path))
}

/// Returns the checkpoints of a folder, sorted by step.
fn list(folder: &Path) -> Result<Vec<(u64, PathBuf)>, FileError> {
    let entries = fs::read_dir(folder).map_err(FileError::at(folder))?;
    let paths = entries.flatten().map(|entry| entry.path());
    let mut found: Vec<_> = paths.filter_map(|path| Some((step_of(&path)?, path))).collect();
    sort_by(&mut found, |a, b| a.cmp(b));
    Ok(found)
}

/// Returns the step in the name of a checkpoint; none for other files.
fn step_of(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    let step = name.strip_prefix("checkpoint-")?.strip_suffix(".safetensors")?.parse().ok()?;
    (Checkpoint::file_name(step) == name).then_some(step)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;
    use std::time::Duration;

    use super::*;
    use crate::base::fingerprint::Fingerprint;
    use crate::tape::StateBuffer;
    use crate::train::Snapshot;
    use crate::train::checkpoint::Header;

    fn checkpoint(step: u64, best_step: Option<u64>) -> Checkpoint {
        let layout = StateLayout::default();
        let zeros = |buffer: StateBuffer| vec![0.0; layout.n_elements(buffer)];
        let header = Header {
            format_version: Header::version(),
            checksum: None,
            step,
            epoch: 0,
            n_batches: 0,
            seed: 0,
            epoch_seconds: 0.0,
            run_seconds: 0.0,
            best_step,
            device: String::new(),
            began_on: None,
            dataset: Fingerprint::of([]),
            config: String::new(),
            epochs: Vec::new(),
        };
        let snapshot = Snapshot { buffers: Snapshot::BUFFERS.map(zeros).into(), n_steps: step };
        Checkpoint { header, order: Vec::new(), batch: None, snapshot, info: None }
    }

    #[test]
    fn the_latest_two_and_the_best_are_kept() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut retention = Retention::new(folder.path(), Every::Epoch);
        let mut steps_after = |step, best| {
            assert!(retention.save(&checkpoint(step, best), &StateLayout::default()));
            let found = list(folder.path()).expect("readable");
            found.into_iter().map(|(step, _)| step).collect::<Vec<_>>()
        };
        assert_eq!(steps_after(9, None), [9]);
        assert_eq!(steps_after(10, Some(10)), [9, 10]);
        assert_eq!(steps_after(11, Some(10)), [10, 11]);
        assert_eq!(steps_after(100, Some(10)), [10, 11, 100]);
        assert_eq!(steps_after(101, Some(10)), [10, 100, 101]);
        assert_eq!(steps_after(102, Some(101)), [101, 102]);
        assert_eq!(steps_after(50, Some(50)), [50], "later checkpoints are removed");
    }

    #[test]
    fn the_latest_is_found_among_other_files() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        assert_eq!(Retention::latest(folder.path()).expect("readable"), None);
        for name in ["checkpoint-9.safetensors", "checkpoint-10.safetensors", "model.safetensors"] {
            fs::write(folder.path().join(name), "").expect("written");
        }
        let unfinished = folder.path().join("checkpoint-11.safetensors.wgrad-tmp");
        fs::write(&unfinished, "half").expect("written");
        fs::write(folder.path().join("checkpoint-012.safetensors"), "").expect("written");
        let latest = Retention::latest(folder.path()).expect("readable").expect("there are some");
        assert_eq!(latest.file_name().expect("a name"), "checkpoint-10.safetensors");
        assert!(!unfinished.exists());
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_a_warning() {
        let mut retention = Retention::new(Path::new("/nowhere"), Every::Epoch);
        assert!(!retention.save(&checkpoint(1, None), &StateLayout::default()));
    }

    #[test]
    fn steps_and_minutes_are_counted() {
        let steps = Every::Steps(NonZeroU64::new(7).expect("not zero"));
        let retention = Retention::new(Path::new("."), steps);
        assert_eq!(
            (1..=21).filter(|&step| retention.is_due(step)).collect::<Vec<_>>(),
            [7, 14, 21]
        );
        assert!(!Retention::new(Path::new("."), Every::Epoch).is_due(7));
        assert!(!Retention::new(Path::new("."), Every::Minutes(10.0)).is_due(7));
        let soon = Retention::new(Path::new("."), Every::Minutes(1e-9));
        std::thread::sleep(Duration::from_millis(1));
        assert!(soon.is_due(7));
        assert!(!Retention::new(Path::new("."), Every::Minutes(1e300)).is_due(7));
    }
}
