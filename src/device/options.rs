//! Options for opening a device.

use super::gpu::ShaderLibrary;
use crate::kernel::{Kernels, Tile};

/// Options for opening a device.
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    /// The kernels of a GPU.
    pub kernels: Kernels,
    /// The limit on a program's planned memory, in bytes; checked before anything is allocated.
    pub memory_limit: Option<u64>,
    /// The tiling of all products on a GPU, for tests and benches; None to choose.
    pub tile: Option<Tile>,
    /// The largest number of invocations of a subgroup that share reads, for tests; None for no limit.
    pub max_sharing: Option<usize>,
    /// Compiles shaders with runtime checks: indices are clamped and loops counted. Debug builds always do.
    pub checked: bool,
    /// Receives progress of slow work, one line at a time: kernels that are measured for the first time; "" at the end.
    pub tell: Option<fn(&str)>,
    /// The source of shaders; tests insert broken ones.
    pub shaders: ShaderLibrary,
}
