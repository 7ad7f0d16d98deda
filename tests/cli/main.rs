//! The command as a user meets it: every error that the README promises a good message for, and small
//! training runs from end to end, on the CPU device.

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
