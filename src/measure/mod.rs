//! Measurements: checks of ops against their references, and times of training steps.
//!
//! * [`check`] runs every op on two devices and compares the results;
//! * [`sampler`] times training steps: warm-up, number of steps, median and spread ([`sample`]). The modules below take
//!   their times from it;
//! * [`profile`] is the view by time: the time of each node of a step. [`layer_times`] is a summary by layer;
//! * [`bench`](mod@bench) is the view by rate: the rate of each kernel relative to the peaks of the device ([`timed`]).

pub mod bench;
pub mod check;
mod error;
pub mod figures;
pub mod layer_times;
pub mod machine;
pub mod profile;
pub mod sample;
pub mod sampler;
pub mod timed;

pub use error::MeasureError;
pub use machine::Machine;
pub use sample::Sample;
pub use sampler::Effort;
pub use timed::TimedWork;
