//! What the tests that run cases on a GPU share.

use wgrad::check::{CaseData, CaseTape};
use wgrad::device::gpu::ShaderLibrary;
use wgrad::device::{Device, OpenOptions};
use wgrad::ops::Kernels;
use wgrad::ops::metrics::NOT_FINITE;
use wgrad::tape::Group;

/// Opens the GPU that the tests run on: any adapter, hardware first.
///
/// # Panics
/// Without an adapter: a GPU test that cannot run has failed.
pub fn open_gpu(kernels: Kernels, shaders: ShaderLibrary) -> Device {
    let options = OpenOptions { kernels, shaders, memory_limit: None };
    let gpu = Device::open("gpu", options);
    gpu.unwrap_or_else(|error| panic!("{error}\n{}", error.hint().unwrap_or_default()))
}

/// The data that a case is run with: random numbers, and, where it has a state, the same with
/// gradients that are not finite, and with the sticky flag raised.
pub fn variations(check: &CaseTape) -> Vec<CaseData> {
    let plain = check.fill(5);
    let gradients = Group::Gradients.index();
    let mut variations = vec![plain.clone()];
    if let Some(last) = check.tape.state().parameters.last() {
        let poisons = [(0, f32::NAN), (last.range().end - 1, f32::NEG_INFINITY)];
        variations.extend(poisons.map(|(at, poison)| {
            let mut data = plain.clone();
            data.state[gradients][at] = poison;
            data
        }));
    }
    let mut flagged = plain;
    flagged.state[Group::Metrics.index()][NOT_FINITE] = 1.0;
    variations.push(flagged);
    variations
}
