//! The CPU device: runs the reference of every op over a thread pool.
//!
//! It is the oracle that the shaders are tested against, the teaching twin of every shader, and what
//! a machine without a GPU trains on.

mod peaks;
mod replay;
mod scratch;
mod session;

pub use session::CpuSession;

use crate::device::Peaks;
use crate::error::Error;
use crate::tape::{Runs, StateLayout};

/// The CPU, as a device.
#[derive(Clone, Copy, Default, Debug)]
pub struct CpuDevice {
    /// The most bytes that a program's plan may ask for.
    pub memory_limit: Option<u64>,
}

impl CpuDevice {
    /// `cpu (16 threads)`.
    pub fn name(&self) -> String {
        let n = rayon::current_num_threads();
        format!("cpu ({n} thread{})", if n == 1 { "" } else { "s" })
    }

    /// What the processor can do at best, on all threads.
    ///
    /// # Errors
    /// When there is no memory for what is copied.
    pub fn peaks(&self) -> Result<Peaks, Error> {
        peaks::measure()
    }

    /// A session in f32, or, for gradient checks, in f64.
    pub fn session<T: Runs>(&self, state: &StateLayout) -> CpuSession<T> {
        CpuSession::new(state, self.memory_limit)
    }
}
