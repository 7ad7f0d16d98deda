//! Measurements: whether every op agrees with its reference, where the time of a step goes, and how near that is to
//! what the device can do.

pub mod bench;
pub mod check;
pub mod layer_times;
pub mod profile;
