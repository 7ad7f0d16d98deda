//! Measurements: checks of ops against their references, and times of training steps.
//!
//! * [`check`] runs every op on two devices and compares the results;
//! * [`sampler`] times training steps, after warm-up steps, and chooses the number of steps. [`sample`] computes median
//!   and spread. The modules below take their times from the sampler;
//! * [`profile`] reports the time of each node of a step, and [`layer_times`] the time of each layer;
//! * [`bench`](mod@bench) reports the rate of each kernel relative to the device's peak rates ([`timed`]).

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
