//! The lowest layer: charts, files, hashes, units and names. It imports nothing of the crate but its error.

pub mod chart;
pub mod clock;
pub mod files;
pub mod fingerprint;
pub mod shown;
pub mod units;
