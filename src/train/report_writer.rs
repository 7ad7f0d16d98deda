//! The interface to the layers above `train`, which do two things at the end of a run: they time the layers of the
//! network in a step, and write the page of the run.

use std::path::{Path, PathBuf};

use super::folder::{LayerTime, Summary};
use super::{EpochMetrics, Recipe, Trainer};
use crate::Error;
use crate::data::{Loaded, Split};
use crate::device::Device;

/// Times layers and writes the page at the end of a run. The layers `measure` and `report` implement this trait.
pub trait ReportWriter {
    /// Times training steps on the images of a split with these numbers, which fill a batch. The network is the same
    /// afterwards. Returns no times when `stop` returned true on the way.
    ///
    /// # Errors
    /// If the device fails.
    fn layer_times(
        &self,
        trainer: &mut Trainer,
        split: &Split,
        images: &[u32],
        stop: &dyn Fn() -> bool,
    ) -> Result<Vec<LayerTime>, Error>;

    /// Writes the page. `trainer` has the weights of the run. Returns the file, and an error where the page was not
    /// written or lacks a part. The page has no predictions once `stop` returns true.
    fn write(
        &self,
        run: &EndedRun<'_>,
        trainer: &mut Trainer,
        stop: &dyn Fn() -> bool,
    ) -> (PathBuf, Result<(), Error>);
}

/// A run that has ended.
#[derive(Clone, Copy)]
pub struct EndedRun<'a> {
    /// The settings.
    pub recipe: &'a Recipe,
    /// The images.
    pub loaded: &'a Loaded,
    /// The device that the run ended on.
    pub device: &'a Device,
    /// The run folder.
    pub folder: &'a Path,
    /// The epochs that were trained and evaluated.
    pub epochs: &'a [EpochMetrics],
    /// The results.
    pub summary: &'a Summary,
}
