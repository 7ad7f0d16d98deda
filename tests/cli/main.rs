//! The command: every error for which the README promises a good message, and small training runs from start
//! to end, on the CPU device.

mod continuing;
mod files;
mod listings;
mod rates;
mod resume;
mod runs;
mod settings;
mod signals;
mod support;
mod weights;
