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
    /// The two benchmarks differ in network, width or batch size, so their kernels have different shapes.
    #[error(
        "the earlier benchmark is of {before}, this one of {now}; measure the same network, width and batch size"
    )]
    OtherStep {
        /// Network, width and batch size of the earlier benchmark.
        before: String,
        /// Network, width and batch size of the new benchmark.
        now: String,
    },
}
