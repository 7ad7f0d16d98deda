//! The error of loading a dataset.

use std::fmt;

use super::{DataError, DatasetSource};

/// The failure of loading a dataset: the dataset, and the error in its files.
#[derive(Debug)]
pub struct LoadError {
    /// The dataset that was to be read.
    pub dataset: &'static dyn DatasetSource,
    /// The error in the dataset's files.
    pub cause: DataError,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.cause, f)
    }
}

impl std::error::Error for LoadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.source()
    }
}
