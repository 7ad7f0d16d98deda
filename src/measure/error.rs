//! Errors of a comparison with an earlier benchmark. The comparison is checked before the new benchmark is measured.

use std::path::PathBuf;

use crate::base::shown::Shown;

/// An earlier benchmark that cannot be compared with the new one.
#[derive(Debug, thiserror::Error)]
pub enum MeasureError {
    /// The file does not have the format of `bench.json`, or has another version of this format.
    #[error("{}: {reason}", path.shown())]
    File {
        /// Path of the file.
        path: PathBuf,
        /// Text that describes the problem.
        reason: String,
    },
    /// The two benchmarks differ in width or batch size, so their kernels have different shapes.
    #[error(
        "the earlier benchmark has width {} and {} images, this one has width {} and {}; measure the same width and \
         batch size",
        .before[0], .before[1], .now[0], .now[1]
    )]
    OtherStep {
        /// Width and batch size of the earlier benchmark.
        before: [usize; 2],
        /// Width and batch size of the new benchmark.
        now: [usize; 2],
    },
}
