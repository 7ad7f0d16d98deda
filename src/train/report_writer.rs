//! The interface to the modules `measure` and `report`, which do two things at the end of a run: they time the
//! network's layers in a training step, and write the page of the run, `report.html`. `train` cannot call them
//! directly, since they are above `train` in the order of imports.

use std::path::{Path, PathBuf};

use super::folder::{LayerTime, Summary};
use super::{EpochMetrics, Recipe, Trainer};
use crate::Error;
use crate::data::{Loaded, Split};
use crate::device::Device;

/// Times the network's layers and writes the page `report.html`, both at the end of a run. The module `report`
/// implements this trait.
pub trait ReportWriter {
    /// Returns the times of the network's layers in training steps on one batch: the images of `split` whose numbers
    /// are in `images`. The training state is the same afterwards. The list is empty if `stop` returned true before the
    /// end.
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

    /// Writes the page `report.html`. `trainer` has the weights of the run. Returns the path of the page with the top-5
    /// accuracy on it, if it has one, or with an error if the page was not written or is incomplete. If `stop` returned
    /// true before the end, the page has no predictions.
    fn write(
        &self,
        run: &EndedRun<'_>,
        trainer: &mut Trainer,
        stop: &dyn Fn() -> bool,
    ) -> (PathBuf, Result<Option<f64>, Error>);
}

/// A run that has ended.
#[derive(Clone, Copy)]
pub struct EndedRun<'a> {
    /// The settings.
    pub recipe: &'a Recipe,
    /// The dataset, with all images in memory.
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
