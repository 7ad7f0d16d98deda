//! The CPU device: runs the reference of every op on a thread pool.
//!
//! Tests compare the shaders with the references. Readers can read each shader beside its reference. A machine without
//! a GPU trains on the CPU device.

mod peaks;
mod replay;
mod scratch;
mod session;

pub use session::CpuSession;

use crate::device::{DeviceError, Peaks};
use crate::tape::{Precision, StateLayout};

/// The CPU as a device.
#[derive(Clone, Copy, Default, Debug)]
pub struct CpuDevice {
    /// The limit on a program's planned memory, in bytes.
    pub memory_limit: Option<u64>,
}

impl CpuDevice {
    /// Returns the name, such as `cpu (16 threads)`.
    pub fn name(&self) -> String {
        let n = rayon::current_num_threads();
        format!("cpu ({n} thread{})", if n == 1 { "" } else { "s" })
    }

    /// Measures the CPU's peak rates on all threads.
    ///
    /// # Errors
    /// If there is not enough memory for the array that the measurement copies.
    pub fn peaks(&self) -> Result<Peaks, DeviceError> {
        peaks::measure()
    }

    /// Starts a session in f32 or, for gradient checks, in f64.
    pub fn session<T: Precision>(&self, state: &StateLayout) -> CpuSession<T> {
        CpuSession::new(state, self.memory_limit)
    }
}
