//! Helpers of the tests that need a GPU.

use wgrad::device::gpu::ShaderLibrary;
use wgrad::device::{Device, OpenOptions};
use wgrad::kernel::Kernels;

/// Opens the adapter for GPU tests: a hardware adapter, otherwise a software adapter.
///
/// # Panics
/// If there is no adapter: a GPU test that cannot run counts as failed.
#[allow(dead_code, reason = "some tests call `open` instead")]
pub fn open_gpu(kernels: Kernels, shaders: ShaderLibrary) -> Device {
    open(OpenOptions { kernels, shaders, ..OpenOptions::default() })
}

/// Opens the adapter for GPU tests with these options.
///
/// # Panics If there is no adapter.
pub fn open(options: OpenOptions) -> Device {
    let gpu = Device::open("gpu", options);
    gpu.unwrap_or_else(|error| panic!("{error}"))
}
