//! Measurements: ops against their references, and training steps against the clock.
//!
//! * [`check`] runs every op on two devices and compares the results;
//! * [`sampler`] times training steps: warm-up, the number of steps, median and spread ([`sample`]). Everything below
//!   takes its times from there;
//! * [`profile`] is the view by time: where a step spends it; [`layer_times`] is a summary of that;
//! * [`bench`](mod@bench) is the view by rate: how near each kernel comes to the peaks of the device ([`timed`]).

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
