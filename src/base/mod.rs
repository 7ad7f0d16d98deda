//! The lowest layer: charts, named choices, the clock, files, hashes, escaped text and units. This layer imports no other layer of the
//! crate.

pub mod chart;
pub mod choice;
pub mod clock;
pub mod files;
pub mod fingerprint;
pub mod shown;
pub mod units;
