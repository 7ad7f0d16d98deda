//! Failures of comparisons with an earlier measurement: wrong uses, found before anything is measured.

use std::path::PathBuf;

use crate::base::shown::Shown;

/// An earlier measurement that cannot be compared with.
#[derive(Debug, thiserror::Error)]
pub enum MeasureError {
    /// The file is not a measurement, or is one of another version.
    #[error("{}: {reason}", path.shown())]
    File {
        /// Path of the file.
        path: PathBuf,
        /// Fault of the file.
        reason: String,
    },
    /// The measurements are of different steps, whose kernels have different shapes.
    #[error(
        "the earlier measurement is of width {} and {} images, this one of width {} and {}: their kernels are not \
         the same",
        .before[0], .before[1], .now[0], .now[1]
    )]
    OtherStep {
        /// Width and batch size of the earlier measurement.
        before: [usize; 2],
        /// Width and batch size of this one.
        now: [usize; 2],
    },
}
