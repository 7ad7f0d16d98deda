//! The command `wgrad`: the messages of its errors, and small training runs from start to end, mostly on the CPU
//! device.

mod changed;
mod continuing;
mod convert;
mod datasets;
mod files;
mod fine_tuning;
mod listings;
mod networks;
mod pictures;
mod rates;
mod resume;
mod runs;
mod settings;
mod shards;
mod signals;
mod study;
mod support;
mod weights;
