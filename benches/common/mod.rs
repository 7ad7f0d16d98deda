//! Shared by the benches: opening the adapter, and sizes for hardware and software adapters.

#![allow(dead_code)] // Each bench uses a part.

use std::time::Duration;

use clap::ValueEnum;
use criterion::Criterion;
use wgrad::device::gpu::info;
use wgrad::device::{Device, OpenOptions};
use wgrad::kernel::Kernels;

/// Returns the kinds of kernels to compare: all of them. On a software adapter, tuned kernels are the default
/// ones.
pub fn kinds() -> Vec<Kernels> {
    let kinds = Kernels::value_variants().iter().copied();
    kinds.filter(|kernels| has_hardware() || *kernels != Kernels::Tuned).collect()
}

/// Returns the name of a kind of kernels.
pub fn name(kernels: Kernels) -> String {
    format!("{kernels:?}").to_lowercase()
}

/// The network's width and batch size in a bench.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    pub width: usize,
    pub batch: usize,
}

/// Returns the real sizes on hardware, and on a software adapter sizes at which a bench ends in minutes.
pub fn size() -> Size {
    match has_hardware() {
        true => Size { width: 64, batch: 512 },
        false => Size { width: 8, batch: 8 },
    }
}

fn has_hardware() -> bool {
    info::adapters().iter().any(|report| report.kind != "software")
}

/// Opens the GPU, hardware first. A bench of kernels panics without one.
pub fn open_gpu(kernels: Kernels) -> Device {
    Device::open("gpu", OpenOptions { kernels, ..OpenOptions::default() })
        .unwrap_or_else(|error| panic!("{error}\n{}", error.hint().unwrap_or_default()))
}

/// Returns a criterion configuration with few samples: a launch is long, and there are many kernels.
pub fn criterion() -> Criterion {
    Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(500))
        .configure_from_args()
}
