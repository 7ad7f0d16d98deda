//! Shared by the benches: the adapter, and sizes for it.

#![allow(dead_code)] // No bench uses all of it.

use std::time::Duration;

use clap::ValueEnum;
use criterion::Criterion;
use wgrad::device::gpu::info;
use wgrad::device::{Device, OpenOptions};
use wgrad::kernel::Kernels;

/// The kinds of kernels that are held side by side: all there are. On a software adapter the tuned ones are the
/// default ones.
pub fn kinds() -> Vec<Kernels> {
    let kinds = Kernels::value_variants().iter().copied();
    kinds.filter(|kernels| has_hardware() || *kernels != Kernels::Tuned).collect()
}

/// The word for a kind of kernels.
pub fn name(kernels: Kernels) -> String {
    format!("{kernels:?}").to_lowercase()
}

/// The network's width and batch size that a bench runs at.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    pub width: usize,
    pub batch: usize,
}

/// The real ones on hardware; on a software adapter, sizes at which everything ends in minutes.
pub fn size() -> Size {
    match has_hardware() {
        true => Size { width: 64, batch: 512 },
        false => Size { width: 8, batch: 8 },
    }
}

fn has_hardware() -> bool {
    info::adapters().iter().any(|report| report.kind != "software")
}

/// The GPU, hardware first. Benches of kernels need one.
pub fn open_gpu(kernels: Kernels) -> Device {
    Device::open("gpu", OpenOptions { kernels, ..OpenOptions::default() })
        .unwrap_or_else(|error| panic!("{error}\n{}", error.hint().unwrap_or_default()))
}

/// Few samples: a launch is long, and there are many kernels.
pub fn criterion() -> Criterion {
    Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(500))
        .configure_from_args()
}
