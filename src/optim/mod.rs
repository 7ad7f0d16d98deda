//! The optimizer's side on the host: how the learning rate goes.
//!
//! Adam itself is an op, [`ops::adam`](crate::ops::adam): it runs on the device, over all parameters at
//! once. The host gives it two scalars a step, made in f64 from the rate and the number of the step.

pub mod lr_finder;
pub mod one_cycle;

pub use one_cycle::{Anneal, OneCycle};
