//! Fuzz targets for every file that wgrad reads; `docs/fuzzing.md` says how to run them.

pub mod targets;
