//! The page of a run, `report.html`: one self-contained file.
//!
//! * [`write()`] writes the page: at the end of a run, or later for a run that is [read](loaded_run) from its folder;
//! * [`compare`] writes one page about several runs, and [`gallery`] one of pictures with their predictions;
//! * [`page`] has the sections; [`confusion`], [`worst`] and [`pixels`] have the larger sections;
//! * [`curves`] makes the [charts](crate::base::chart), [`picture`] embeds images in the page, and [`html`] joins the
//!   sections to a file.
//!
//! The pages have no scripts and load no other files, so they can be sent by mail and still open in ten years.

use std::path::{Path, PathBuf};

pub mod compare;
pub mod confusion;
pub mod contact_sheet;
pub mod curves;
pub mod gallery;
pub mod html;
pub mod loaded_run;
pub mod overlay;
pub mod page;
pub mod picture;
pub mod pixels;
pub mod thumbnail;
pub mod worst;

pub use loaded_run::LoadedRun;

use crate::Error;
use crate::base::files;
use crate::data::{Loaded, Split};
use crate::device::Device;
use crate::measure::layer_times;
use crate::nn::Weights;
use crate::tape::StateLayout;
use crate::train::StepError;
use crate::train::folder::{LayerTime, Summary};
use crate::train::report_writer::{EndedRun, ReportWriter};
use crate::train::{EpochMetrics, Evaluation, Recipe, Trainer};
use page::Contents;
use pixels::AugmentedBatch;

/// The name of the page in the run's folder.
pub const REPORT: &str = "report.html";

/// The data of a run's page.
#[derive(Clone, Copy)]
pub struct Run<'a> {
    /// The run's folder.
    pub folder: &'a Path,
    /// The run's settings.
    pub recipe: &'a Recipe,
    /// The run's images. If `other_data` is given, other images, on which the run's weights are evaluated.
    pub loaded: &'a Loaded,
    /// A warning on the page: the images of the dataset in `loaded` are not those on which the run was trained. None if
    /// they are the same. With the warning, the page leaves out the two parts that need the training images: the
    /// learning-rate schedule and the augmented batch.
    pub other_data: Option<&'a str>,
    /// The device of the evaluation.
    pub device: &'a Device,
    /// The finished epochs.
    pub epochs: &'a [EpochMetrics],
    /// The summary that the run writes at its end or after an interruption; None before.
    pub summary: Option<&'a Summary>,
}

/// A run's weights, and the logits that the network computes with them.
pub struct Outputs<'a> {
    /// The names, shapes and offsets of the weights.
    pub layout: &'a StateLayout,
    /// The weights.
    pub weights: &'a Weights,
    /// The logits of the [evaluated images](Run::evaluated), `[n, classes]`; None if the evaluation was stopped. With
    /// the error [`StepError::LogitsNotFinite`], the page is written without predictions.
    pub logits: Result<Option<Vec<f32>>, Error>,
}

/// Writes the page into the run's folder when the run ends.
pub struct AtEnd;

impl ReportWriter for AtEnd {
    fn layer_times(
        &self,
        trainer: &mut Trainer,
        split: &Split,
        images: &[u32],
        stop: &dyn Fn() -> bool,
    ) -> Result<Vec<LayerTime>, Error> {
        layer_times::measure(trainer, split, images, stop)
    }

    fn write(
        &self,
        ended: &EndedRun<'_>,
        trainer: &mut Trainer,
        stop: &dyn Fn() -> bool,
    ) -> (PathBuf, Result<Option<f64>, Error>) {
        let EndedRun { recipe, loaded, device, folder, epochs, summary } = *ended;
        let (other_data, summary) = (None, Some(summary));
        let run = Run { folder, recipe, loaded, other_data, device, epochs, summary };
        let page = folder.join(REPORT);
        let logits = trainer.logits(run.evaluated().0, stop);
        let written = trainer.state.weights().and_then(|weights| {
            let outputs = Outputs { layout: &trainer.state.layout, weights: &weights, logits };
            write(&run, Some(outputs), &page)
        });
        (page, written)
    }
}

impl Run<'_> {
    /// Returns the evaluated split and its name: the validation split if a run with validation images is unfinished,
    /// otherwise the test split. So the test images are evaluated only once.
    pub fn evaluated(&self) -> (&Split, &'static str) {
        let dataset = &self.loaded.dataset;
        let is_over = self.summary.is_some_and(|summary| summary.ended != Summary::INTERRUPTED);
        match is_over || self.other_data.is_some() || dataset.validation.is_empty() {
            true => dataset.measured(),
            false => (&dataset.validation, "validation"),
        }
    }
}

/// Writes the page of a run atomically, and returns the top-5 accuracy on it. Without `outputs`, the page has neither
/// predictions nor filters. Without logits, it has no predictions.
///
/// # Errors
/// If the device fails, or the file cannot be written. [`StepError::LogitsNotFinite`] after a page without predictions
/// is written.
pub fn write(
    run: &Run<'_>,
    outputs: Option<Outputs<'_>>,
    path: &Path,
) -> Result<Option<f64>, Error> {
    let contents = contents(run, outputs)?;
    files::write_whole(path, page::page(&contents).as_bytes())?;
    let top5 = contents.evaluation.and_then(|evaluation| evaluation.top5);
    contents.no_predictions.map_or(Ok(top5), Err)
}

/// Computes the contents of the page.
fn contents<'a>(run: &Run<'a>, outputs: Option<Outputs<'_>>) -> Result<Contents<'a>, Error> {
    let dataset = &run.loaded.dataset;
    let last_epoch = run.epochs.last().map_or(1, |epoch| epoch.epoch);
    let mut contents = Contents {
        run: *run,
        batch: match run.other_data {
            None => Some(AugmentedBatch::of(run.recipe, dataset, last_epoch)?),
            Some(_) => None,
        },
        evaluation: None,
        no_predictions: None,
        filters: String::new(),
    };
    if let Some(Outputs { layout, weights, logits }) = outputs {
        let (labels, n_classes) = (&run.evaluated().0.labels, dataset.spec.n_classes());
        match logits {
            Ok(logits) => {
                let logits = logits.filter(|logits| !logits.is_empty());
                contents.evaluation = logits.map(|z| Evaluation::of(&[z], labels, n_classes));
            }
            // The run diverged, so the page has no predictions. The page is still useful for its curves and settings.
            Err(error @ Error::Step(StepError::LogitsNotFinite { .. })) => {
                contents.no_predictions = Some(error)
            }
            Err(error) => return Err(error),
        }
        contents.filters = pixels::filters(layout, weights);
    }
    Ok(contents)
}
