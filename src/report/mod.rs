//! The page of a run, `report.html`: one self-contained file.
//!
//! * [`write()`] writes the page at the end of a run, or of a [`past`] one from its folder;
//! * [`compare`] writes one page about several runs;
//! * [`page`] has the sections; [`evaluation`] and [`pixels`] have the larger ones;
//! * [`chart`] (with [`axis`]) draws curves as SVG, [`picture`] embeds images in the page, and [`html`] is
//!   the frame.
//!
//! The pages have no scripts and load nothing, so they can be mailed, and opened in ten years.

use std::path::{Path, PathBuf};

pub mod axis;
pub mod chart;
pub mod compare;

pub mod curves;
pub mod evaluation;
pub mod html;
pub mod page;
pub mod past;
pub mod picture;
pub mod pixels;

pub use past::PastRun;

use crate::base::files;
use crate::data::{Loaded, Split};
use crate::device::Device;
use crate::error::Error;
use crate::train::folder::Summary;
use crate::train::run::{EndedRun, ReportWriter};
use crate::train::{EpochMetrics, Evaluator, Predictions, Recipe};
use page::Contents;
use pixels::AugmentedBatch;

/// The name of the page in the run's folder.
pub const REPORT: &str = "report.html";

/// A run, as its page needs it.
#[derive(Clone, Copy)]
pub struct Run<'a> {
    /// The run's folder.
    pub folder: &'a Path,
    /// The run's settings.
    pub recipe: &'a Recipe,
    /// The run's images; with `other_data`, other images on which its weights are evaluated.
    pub loaded: &'a Loaded,
    /// A sentence about the other images, if there are some. The page then leaves out all parts about the
    /// training images.
    pub other_data: Option<&'a str>,
    /// The device of the evaluation.
    pub device: &'a Device,
    /// The finished epochs.
    pub epochs: &'a [EpochMetrics],
    /// The run's summary; None for an unfinished run.
    pub summary: Option<&'a Summary>,
}

/// Writes the page into the run's folder at the end of a run.
pub struct AtEnd;

impl ReportWriter for AtEnd {
    fn write(
        &self,
        run: &EndedRun<'_>,
        evaluator: &mut Evaluator,
        stop: &dyn Fn() -> bool,
    ) -> (PathBuf, Result<(), Error>) {
        let page = run.folder.join(REPORT);
        let told = Run {
            folder: run.folder,
            recipe: run.job.recipe,
            loaded: run.job.loaded,
            other_data: None,
            device: run.job.device,
            epochs: run.epochs,
            summary: Some(run.summary),
        };
        let written = write(&told, Some(evaluator), &page, stop);
        (page, written)
    }
}

impl Run<'_> {
    /// Returns the evaluated split and its name: the validation images while a run with validation is
    /// unfinished, otherwise the test images. So the test images are evaluated only once.
    fn judged(&self) -> (&Split, &'static str) {
        let dataset = &self.loaded.dataset;
        let is_over = self.summary.is_some_and(|summary| summary.ended != Summary::INTERRUPTED);
        match is_over || self.other_data.is_some() || dataset.validation.is_empty() {
            true => (&dataset.test, "test"),
            false => (&dataset.validation, "validation"),
        }
    }
}

/// Writes the page of a run atomically. The evaluator holds the weights. Without it, the page has no
/// predictions and no filters. If `stop` returns true during the evaluation, the page has no predictions.
///
/// # Errors
/// If the device fails, or the file cannot be written. [`Error::LogitsNotFinite`] after a page without
/// predictions is written.
pub fn write(
    run: &Run<'_>,
    evaluator: Option<&mut Evaluator>,
    path: &Path,
    stop: &dyn Fn() -> bool,
) -> Result<(), Error> {
    let contents = contents(run, evaluator, stop)?;
    files::write_whole(path, page::page(&contents).as_bytes())?;
    contents.no_predictions.map_or(Ok(()), Err)
}

/// Computes the contents of the page.
fn contents<'a>(
    run: &Run<'a>,
    evaluator: Option<&mut Evaluator>,
    stop: &dyn Fn() -> bool,
) -> Result<Contents<'a>, Error> {
    let dataset = &run.loaded.dataset;
    let last_epoch = run.epochs.last().map_or(1, |epoch| epoch.epoch);
    let mut contents = Contents {
        run: *run,
        batch: match run.other_data {
            None => Some(AugmentedBatch::of(run.recipe, dataset, last_epoch)?),
            Some(_) => None,
        },
        predictions: None,
        no_predictions: None,
        filters: String::new(),
    };
    if let Some(evaluator) = evaluator {
        let n_classes = dataset.classes.len();
        match evaluator.logits(run.judged().0, stop) {
            Ok(logits) => {
                contents.predictions = logits.map(|z| Predictions::from_logits(&z, n_classes));
            }
            // The curves and settings of a run that diverged are still useful.
            Err(error @ Error::LogitsNotFinite { .. }) => contents.no_predictions = Some(error),
            Err(error) => return Err(error),
        }
        let weights = evaluator.weights()?;
        contents.filters = pixels::filters(evaluator.layout(), &weights);
    }
    Ok(contents)
}
