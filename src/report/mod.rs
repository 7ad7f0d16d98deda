//! What a run was, as a page to look at: `report.html`, one file that needs nothing else.
//!
//! * [`write()`] makes the page at the end of a run, or of a [`past`] one from its folder;
//! * [`compare`] makes one page of several runs;
//! * [`page`] says what stands on it; [`evaluation`] and [`pixels`] make its larger parts;
//! * [`chart`] (with [`axis`]) draws curves as SVG, [`picture`] makes images part of the page, and
//!   [`html`] is the frame around it all.
//!
//! There is no script on the pages, and nothing is loaded: they can be mailed, or opened in ten years.

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

/// The page of a run, in its folder.
pub const REPORT: &str = "report.html";

/// A run, as far as its page tells of it.
#[derive(Clone, Copy)]
pub struct Run<'a> {
    /// Its folder.
    pub folder: &'a Path,
    /// What it was made with.
    pub recipe: &'a Recipe,
    /// Its images; or others that its weights are measured on, if `other_data` says so.
    pub loaded: &'a Loaded,
    /// A sentence that says which other images these are. The page then leaves out all that is made from the
    /// images of the training.
    pub other_data: Option<&'a str>,
    /// What its weights are evaluated on.
    pub device: &'a Device,
    /// The epochs that were finished.
    pub epochs: &'a [EpochMetrics],
    /// What it came to; none while it goes on.
    pub summary: Option<&'a Summary>,
}

/// Writes the page of a run into its folder when it ends.
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
    /// The images that its predictions are of, and what they are called: the test images, but of a run
    /// that holds out others, and has not come to its end, those. Test images are read once, then.
    fn judged(&self) -> (&Split, &'static str) {
        let dataset = &self.loaded.dataset;
        let is_over = self.summary.is_some_and(|summary| summary.ended != Summary::INTERRUPTED);
        match is_over || self.other_data.is_some() || dataset.validation.is_empty() {
            true => (&dataset.test, "test"),
            false => (&dataset.validation, "validation"),
        }
    }
}

/// Writes the page of a run, whole or not at all. The evaluator holds the weights to tell of; without one
/// the page has nothing on predictions and filters, and nothing on predictions when `stop` says so while
/// images are evaluated.
///
/// # Errors
/// When the device fails, or the file cannot be written. [`Error::LogitsNotFinite`] once a page without
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

/// Gathers what is on the page.
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
            // Curves and settings of a run that diverged are worth a page.
            Err(error @ Error::LogitsNotFinite { .. }) => contents.no_predictions = Some(error),
            Err(error) => return Err(error),
        }
        let weights = evaluator.weights()?;
        contents.filters = pixels::filters(evaluator.layout(), &weights);
    }
    Ok(contents)
}
