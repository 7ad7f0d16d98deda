//! The lowest layer: charts, named choices, the clock, files, hashes, pickles, escaped text, sorts and units. This layer
//! imports no other layer of the crate.

pub mod chart;
pub mod choice;
pub mod clock;
pub mod files;
pub mod fingerprint;
pub mod pickle;
pub mod shown;
pub mod sorting;
pub mod units;
