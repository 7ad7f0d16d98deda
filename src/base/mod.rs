//! The lowest layer: charts, files, hashes, units and names. It imports nothing else of the crate.

pub mod chart;
pub mod clock;
pub mod files;
pub mod fingerprint;
pub mod shown;
pub mod units;
